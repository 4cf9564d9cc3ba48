/**
 * What an interface was like before it was tuned, as files in the reference's form and place, so that each
 * finds what the other left: `/run/cni/tuning/<container>_<interface>.json`.
 *
 *     { "mac": "0e:79:…", "promisc": false, "mtu": 1500, "allmulti": false, "txQLen": 1000, "tsnet": { … } }
 *
 * Under `tsnet`, which the reference skips, stands whose it is: the network, and the namespace by its inode.
 */

import { lstatSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder } from '../ffi/folder.ts'
import { readRegular } from '../ffi/regular-file.ts'
import { hasCode } from '../model/errors.ts'
import { Json } from '../model/json/json.ts'
import { optional, record, text, whole } from '../model/json/shape.ts'
import { readMac } from '../model/json/values.ts'
import type { AttachmentKey, NamespaceId } from '../model/network.ts'
import { present } from '../model/present.ts'
import type { LinkSettings } from './link-settings.ts'

/** The reference's, where the configuration names no other. */
export const DATA_DIR = '/run/cni/tuning'

/** Who tuned what where. */
export interface Origin extends AttachmentKey {
  netns: { path: string } & NamespaceId
}

export interface Backup {
  settings: LinkSettings
  /** Absent in one that the reference wrote. */
  origin?: Origin
}

type Name = Pick<AttachmentKey, 'containerId' | 'ifname'>

const pathOf = (folder: string, { containerId, ifname }: Name): string =>
  join(folder, `${containerId}_${ifname}.json`)

/** How often the folder may vanish between being made and being used. */
const ATTEMPTS = 10

/** Writes the file whole, over one that is there: that was of an interface that is no more. */
export function writeBackup(folder: string, settings: LinkSettings, origin: Origin): void {
  const { mac, promiscuous: promisc, mtu, allmulti, txQueueLength: txQLen } = settings
  const written = JSON.stringify(present({ mac, promisc, mtu, allmulti, txQLen, tsnet: origin }), null, 1)
  const path = pathOf(folder, origin)
  for (let attempt = 1; ; attempt++) {
    try {
      makeFolder(folder, 0o700)
      remove(`${path}.tmp`)
      writeFileSync(`${path}.tmp`, written, { mode: 0o600, flag: 'wx' })
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) remove(path)
      renameSync(`${path}.tmp`, path)
      return
    } catch (thrown) {
      if (!hasCode(thrown, 'ENOENT') || attempt === ATTEMPTS) throw thrown
    }
  }
}

/** Undefined where there is none. One that cannot be understood says nothing. */
export function readBackup(folder: string, name: Name): Backup | undefined {
  return readFile(pathOf(folder, name))
}

/** Whatever stands there: nobody else has a name of this form. */
const remove = (path: string): void => rmSync(path, { recursive: true, force: true })

/** Removes the file, and the folder with the last one. */
export function removeBackup(folder: string, name: Name): void {
  remove(pathOf(folder, name))
  remove(`${pathOf(folder, name)}.tmp`)
  // The default's parent is the plugins' too, and as empty.
  for (const each of folder === DATA_DIR ? [folder, dirname(folder)] : [folder]) {
    try {
      rmdirSync(each)
    } catch {
      return
    }
  }
}

/** The origins of all that tsnet wrote. What does not stand in the file of its own name is not ours. */
export function listOrigins(folder: string): Origin[] {
  try {
    const names = readdirSync(folder).filter(name => name.endsWith('.json'))
    return names.flatMap(name => {
      const origin = readFile(join(folder, name))?.origin
      return origin !== undefined && pathOf(folder, origin) === join(folder, name) ? [origin] : []
    })
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return []
    throw thrown
  }
}

const ORIGIN = record({
  network: text,
  containerId: text,
  ifname: text,
  netns: record({ path: text, dev: whole, ino: whole, cookie: optional(text) }),
})

function readFile(path: string): Backup | undefined {
  const content = readRegular(path)
  if (content === undefined) return undefined
  try {
    const file = new Json(JSON.parse('text' in content ? content.text : ''), '')
    const settings = present({
      mac: readMac(file.get('mac')),
      promiscuous: file.get('promisc').flag(),
      mtu: file.get('mtu').number(0, 0xffff_ffff) || undefined,
      allmulti: file.get('allmulti').flag(),
      txQueueLength: file.get('txQLen').number(0, 0x7fff_ffff),
    })
    const origin = file.get('tsnet')
    const isOrigin = origin.present && ORIGIN(origin.value) === undefined
    return { settings, ...(isOrigin && { origin: origin.value as Origin }) }
  } catch {
    return { settings: {} }
  }
}
