/**
 * Looks at a host before anything is changed: what is not yet as it shall be, and whether it can be.
 */

import { accessSync, constants, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { messageOf, TsnetError } from '../model/errors.ts'
import { commandHere } from './init-system.ts'
import { type Entry, type Item, placeOf, type Step } from './items.ts'
import { parseObject, withKey, withKeyOf } from './json-key.ts'
import { RECORD } from './record.ts'
import { digest, type Surroundings } from './surroundings.ts'

export interface View {
  steps: Step[]
  /** What stays as somebody made it after us, in words. */
  left: string[]
}

/** @throws TsnetError for what cannot be done; nothing was changed */
export function look(items: readonly Item[], record: readonly Entry[], around: Surroundings): View {
  const view: View = { steps: [], left: [] }
  for (const each of items) {
    const item = each.kind === 'key' ? { ...each, path: around.resolve(each.path) } : each
    const known = record.find(entry => placeOf(entry) === placeOf(item))
    const step =
      item.kind === 'command' ? commandStep(item, known, around, view) : fileStep(item, known, around, view)
    if (step !== undefined) view.steps.push(step)
  }
  for (const path of new Set([...view.steps.map(({ item }) => placeOf(item)), RECORD]))
    if (path.startsWith('/')) checkWritable(path, around)
  return view
}

function commandStep(
  item: Item & { kind: 'command' },
  known: Entry | undefined,
  around: Surroundings,
  { steps }: View,
): Step | undefined {
  const changed = steps.some(step => item.after.includes(placeOf(step.item)))
  if (known !== undefined && !changed) return undefined
  const { command, back } = item
  // What is written down is what a host does that has been started.
  const here = { ...item, command: commandHere(command, around), back: commandHere(back, around) }
  return { item: here, entry: { kind: 'command', command, back }, keeps: false }
}

/** @throws TsnetError `io`, `missing` for commands that would fail, as far as one can know */
export async function checkCommands(steps: readonly Step[], around: Surroundings): Promise<void> {
  for (const { item } of steps) {
    if (item.kind !== 'command' || item.command.length === 0) continue
    const [program = ''] = item.command
    // One with a path is installed by us.
    if (!program.startsWith('/') && !around.finds(program))
      throw new TsnetError(
        'missing',
        `there is no ${program}: choose --init none, or --no-enable; nothing was changed`,
      )
    if (item.asks !== undefined) await around.run(item.asks)
  }
}

function fileStep(
  item: Exclude<Item, { kind: 'command' }>,
  known: Entry | undefined,
  around: Surroundings,
  { left }: View,
): Step | undefined {
  const { path } = item
  const there = around.lookAt(path)
  if (there === 'other') throw new TsnetError('conflict', `${path} is there and no file; nothing was changed`)
  const folders = [...(known && 'folders' in known ? known.folders : []), ...around.missingFolders(path)]
  const text = there !== 'nothing' && 'text' in there ? there.text : undefined
  const kept = known !== undefined && 'kept' in known && known.kept
  switch (item.kind) {
    case 'link': {
      const link = there !== 'nothing' && 'link' in there ? there.link : undefined
      if (link === item.target || (link !== undefined && around.leadTogether(path, item.target)))
        return undefined
      const isOurs = known?.kind === 'link' && link === known.target
      const { kind, target } = item
      const keeps = there !== 'nothing' && !isOurs
      return { item, entry: { kind, path, target, folders, kept: kept || keeps }, keeps }
    }
    case 'file': {
      if (text === item.text) return undefined
      const isOurs = known?.kind === 'file' && text !== undefined && digest(text) === known.sha256
      if (known !== undefined && there !== 'nothing' && !isOurs) {
        left.push(`leave ${path}: it was changed after it was installed`)
        return undefined
      }
      const keeps = there !== 'nothing' && !isOurs
      if (keeps && item.yields === true) {
        left.push(`leave ${path}: it was there before, and is used as it is`)
        return undefined
      }
      const sha256 = digest(item.text)
      return { item, entry: { kind: 'file', path, sha256, folders, kept: kept || keeps }, keeps }
    }
    case 'key': {
      const { kind, key, value } = item
      const next = withKey(text, path, key, value)
      if (text !== undefined && parseObject(text.trim() || '{}', path)[key] === value) return undefined
      const before = known?.kind === 'key' ? beforeUs(known, text) : (text ?? null)
      return { item, entry: { kind, path, key, value, sha256: digest(next), before, folders }, keeps: false }
    }
  }
}

/** What a file would hold without us, and with what others have changed in it since. */
function beforeUs({ path, key, sha256, before }: Entry & { kind: 'key' }, text = ''): string | null {
  return digest(text) === sha256 || text.trim() === '' ? before : withKeyOf(text, path, key, before)
}

/** @throws TsnetError `io` where a file could not be made */
function checkWritable(path: string, around: Surroundings): void {
  let folder = dirname(path)
  while (folder !== '/' && around.lookAt(folder) === 'nothing') folder = dirname(folder)
  try {
    const place = around.at(folder)
    if (!statSync(place).isDirectory()) throw new Error(`${folder} is not a folder`)
    accessSync(place, constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new TsnetError('io', `${path} cannot be written: ${messageOf(cause)}; nothing was changed`, {
      cause,
    })
  }
}
