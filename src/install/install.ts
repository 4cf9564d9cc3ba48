/**
 * Puts tsnet where a host looks for it, and takes it away again.
 *
 *     options, this host ── plan.ts ──▶ items: links, files, a key of a JSON file, commands
 *                                         │ look.ts      which of them are not so yet; everything that can be
 *                                         ▼              known to go wrong is refused here
 *                                       steps ── steps.ts ──▶ done one by one, each with its undo
 *                                         │
 *                                         └──▶ install.json: what was done, and what was there before
 *
 * What we install are links to the executable and texts that we make; a new version needs no new install
 * but for the texts. What stood in the place of one of them is kept beside it under another name, and put
 * back by `uninstall`; so is what a JSON file said before. What somebody changed after us is left as it is,
 * and said. So is what people copy by hand, as README shows it: a network list, a unit of systemd, a link that
 * leads to the same executable.
 *
 * A dry run asks all that the real one asks, and fails where that would.
 *
 * The record is written before the first change and taken away after the last. A step that fails takes back
 * those before it. Whoever was killed halfway is finished by the next `install`, or taken back by
 * `uninstall`: both look at what there is, and do not believe that what is written down has happened.
 *
 * Limits: the paths of the record are those of this host. Docker and the runtimes are not restarted.
 */

import { withUndo } from '../model/undo.ts'
import { type Doing, describe, type Entry, type Item, placeOf, type Step } from './items.ts'
import { checkCommands, look } from './look.ts'
import { readRecord, writeRecord } from './record.ts'
import { doStep } from './steps.ts'
import type { Surroundings } from './surroundings.ts'
import { takeBack } from './take-back.ts'

export type { Item } from './items.ts'
export { CONFLIST, type CommandText, type Facts, type Place, planItems, type Wishes } from './plan.ts'
export { Surroundings } from './surroundings.ts'

/**
 * Makes it so. What is so already is not touched.
 * @returns how many steps there were
 * @throws TsnetError; everything is as before then
 */
export async function install(items: Item[], around: Surroundings, { dryRun, say }: Doing): Promise<number> {
  const before = readRecord(around)
  const { steps, left } = look(items, before.entries, around)
  for (const line of left) say(line)
  await checkCommands(steps, around)
  const tell = (step: Step) => describe(step) !== '' && say(describe(step))
  if (dryRun) steps.forEach(tell)
  if (dryRun || steps.length === 0) return steps.length
  await withUndo(async undo => {
    undo.push('the record', () => writeRecord(around, before))
    const entries = steps.map(({ entry }) => entry)
    writeRecord(around, { ...before, entries: merged(before.entries, entries) })
    for (const step of steps) {
      tell(step)
      await doStep(step, around, undo)
    }
  })
  return steps.length
}

/**
 * Takes away what was installed, the last thing first, and goes on to the end.
 * @returns how much there was
 * @throws the error, or an AggregateError of all that could not be taken away; it stays in the record
 */
export async function uninstall(around: Surroundings, { dryRun, say }: Doing): Promise<number> {
  const record = readRecord(around)
  const failures: unknown[] = []
  const stays: Entry[] = []
  for (const entry of record.entries.toReversed()) {
    try {
      await takeBack(entry, around, { dryRun, say })
    } catch (thrown) {
      failures.push(thrown)
      stays.unshift(entry)
    }
  }
  if (!dryRun) writeRecord(around, { ...record, entries: stays })
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw new AggregateError(failures)
  return record.entries.length
}

/** New entries in the place of those of the same thing, and after all others. */
const merged = (before: readonly Entry[], added: readonly Entry[]): Entry[] => [
  ...before.map(entry => added.find(each => placeOf(each) === placeOf(entry)) ?? entry),
  ...added.filter(entry => !before.some(each => placeOf(each) === placeOf(entry))),
]
