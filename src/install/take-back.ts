/** Takes one thing of the record away, and puts back what was there before. */

import { lstatSync } from 'node:fs'
import { commandHere } from './init-system.ts'
import { asideOf, type Doing, type Entry } from './items.ts'
import { withKeyOf } from './json-key.ts'
import { digest, type Surroundings } from './surroundings.ts'

/** Idempotent; what never happened, or was changed since, is no error. @throws Node's errors, TsnetError */
export async function takeBack(entry: Entry, around: Surroundings, { dryRun, say }: Doing): Promise<void> {
  const act = async (line: string, work: () => void | Promise<void>) => {
    say(line)
    if (!dryRun) await work()
  }
  if (entry.kind === 'command') {
    const back = commandHere(entry.back, around)
    if (back.length > 0) await act(`run ${back.join(' ')}`, () => around.run(back))
    return
  }
  if (entry.kind === 'key') await takeKeyBack(entry, around, act, say)
  else await takeFileBack(entry, around, act, say)
  if (!dryRun) for (const folder of entry.folders.toReversed()) around.removeFolder(folder)
}

type Act = (line: string, work: () => void | Promise<void>) => Promise<void>

async function takeFileBack(
  entry: Entry & { kind: 'link' | 'file' },
  around: Surroundings,
  act: Act,
  say: Doing['say'],
): Promise<void> {
  const { path } = entry
  const aside = asideOf(path)
  const there = around.lookAt(path)
  const kept = entry.kept && around.lookAt(aside) !== 'nothing'
  const isOurs =
    typeof there === 'object' &&
    (entry.kind === 'link'
      ? 'link' in there && there.link === entry.target
      : 'text' in there && digest(there.text) === entry.sha256)
  if (kept && isSame(around.at(path), around.at(aside))) {
    // Whoever installed died before anything was put in its place.
    await act(`remove ${aside}`, () => around.remove(aside))
  } else if (kept && (isOurs || there === 'nothing')) {
    await act(`restore ${path} from ${aside}`, () => around.rename(aside, path))
  } else if (isOurs) {
    await act(`remove ${path}`, () => around.remove(path))
  } else if (there !== 'nothing') {
    say(
      `leave ${path}: it was changed after it was installed${kept ? `; ${aside} is what was there before` : ''}`,
    )
  }
}

async function takeKeyBack(
  entry: Entry & { kind: 'key' },
  around: Surroundings,
  act: Act,
  say: Doing['say'],
): Promise<void> {
  const { path, key, value, before } = entry
  const there = around.lookAt(path)
  if (typeof there !== 'object' || !('text' in there)) return
  const { text, mode } = there
  if (digest(text) === entry.sha256) {
    await act(before === null ? `remove ${path}` : `restore ${path}`, () =>
      before === null ? around.remove(path) : around.putFile(path, before, mode),
    )
    return
  }
  if (text === before) return
  try {
    if ((JSON.parse(text) as Record<string, unknown>)[key] !== value) throw new Error('another value')
  } catch {
    say(`leave ${path}: its ${key} was changed after it was installed`)
    return
  }
  await act(`take ${key} out of ${path}`, () =>
    around.putFile(path, withKeyOf(text, path, key, before), mode),
  )
}

function isSame(a: string, b: string): boolean {
  try {
    return lstatSync(a).ino === lstatSync(b).ino
  } catch {
    return false
  }
}
