/** Carries out a step, with its undo. */

import type { Undo } from '../model/undo.ts'
import { asideOf, type Step } from './items.ts'
import { withKey } from './json-key.ts'
import type { Surroundings } from './surroundings.ts'

const CONFIG_MODE = 0o644

/** @throws Node's errors, TsnetError of a command */
export async function doStep({ item, keeps }: Step, around: Surroundings, undo: Undo): Promise<void> {
  if (item.kind === 'command') {
    if (item.command.length === 0) return
    if (item.back.length > 0) undo.push(item.command.join(' '), () => around.run(item.back).catch(() => {}))
    await around.run(item.command)
    return
  }
  const { path } = item
  for (const folder of around.missingFolders(path)) {
    around.makeFolder(folder)
    undo.push(folder, () => around.removeFolder(folder))
  }
  const before = around.lookAt(path)
  if (keeps) {
    around.keep(path, asideOf(path))
    undo.push(asideOf(path), () => around.remove(asideOf(path)))
  }
  undo.push(path, () => {
    if (keeps) around.rename(asideOf(path), path)
    else if (before === 'nothing') around.remove(path)
    else if (typeof before === 'object' && 'link' in before) around.putLink(path, before.link)
    else if (typeof before === 'object') around.putFile(path, before.text, before.mode)
  })
  if (item.kind === 'link') around.putLink(path, item.target)
  else if (item.kind === 'file') around.putFile(path, item.text, item.mode)
  else {
    const [text, mode] =
      typeof before === 'object' && 'text' in before ? [before.text, before.mode] : [undefined, CONFIG_MODE]
    around.putFile(path, withKey(text, path, item.key, item.value), mode)
  }
}
