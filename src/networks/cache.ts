/**
 * What libcni writes down of an attachment, so that runtimes and other tools know of it:
 * `/var/lib/cni/results/<network>-<container>-<interface>`, readable by root alone.
 */

import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../ffi/folder.ts'
import { readGiven } from '../ffi/regular-file.ts'
import { listOf, object, optional, record, type Shape, text } from '../model/json/shape.ts'
import type { AttachmentKey } from '../model/network.ts'
import { namesIn } from '../runtime/folder.ts'

/** One call of a runtime, for all plugins of a list. */
export interface ListCall extends Omit<AttachmentKey, 'network'> {
  /** Path; empty where the namespace is gone. */
  netns: string
  /** CNI_ARGS. */
  args: [string, string][]
  /** By capability. */
  capabilities: Record<string, unknown>
}

const KIND = 'cniCacheV1'

export interface CachedAttachment extends AttachmentKey, Omit<ListCall, keyof AttachmentKey> {
  /** The network list, as JSON. */
  list: string
  result: Record<string, unknown>
}

const pathOf = (folder: string, { network, containerId, ifname }: AttachmentKey): string =>
  join(folder, `${network}-${containerId}-${ifname}`)

export function writeCached(folder: string, cached: CachedAttachment): void {
  const { network, containerId, ifname, netns, args, capabilities, list, result } = cached
  const entry = {
    kind: KIND,
    containerId,
    config: Buffer.from(list).toString('base64'),
    ifName: ifname,
    networkName: network,
    netns,
    ...(args.length > 0 && { cniArgs: args }),
    ...(Object.keys(capabilities).length > 0 && { capabilityArgs: capabilities }),
    result,
  }
  makeFolder(folder, 0o700)
  const path = pathOf(folder, cached)
  const temporary = join(folder, `.${ifname}-${containerId}-${network}.tmp`)
  writeFileSync(temporary, JSON.stringify(entry), { mode: 0o600 })
  renameSync(temporary, path)
}

export function removeCached(folder: string, key: AttachmentKey): void {
  rmSync(pathOf(folder, key), { force: true })
}

/** All attachments in the cache. What cannot be understood is not one. */
export function listCached(folder: string): CachedAttachment[] {
  return namesIn(folder).flatMap(name => {
    const cached = name.endsWith('.tmp') ? undefined : read(join(folder, name))
    return cached === undefined ? [] : [cached]
  })
}

/** What may be absent, is null where Go has nothing to write. */
const absentOr = (shape: Shape): Shape => optional(value => (value === null ? undefined : shape(value)))

const SHAPE = record({
  netns: absentOr(text),
  cniArgs: absentOr(listOf(listOf(text))),
  capabilityArgs: absentOr(object),
  config: absentOr(text),
  result: absentOr(object),
})

function read(path: string): CachedAttachment | undefined {
  try {
    const entry = JSON.parse(readGiven(path))
    const { kind, containerId, ifName, networkName, netns, cniArgs, capabilityArgs, config, result } = entry
    const names = [containerId, ifName, networkName]
    if (kind !== KIND || !names.every(each => typeof each === 'string' && each !== '')) return undefined
    if (SHAPE(entry) !== undefined) return undefined
    return {
      network: networkName,
      containerId,
      ifname: ifName,
      netns: netns ?? '',
      args: cniArgs ?? [],
      capabilities: capabilityArgs ?? {},
      list: Buffer.from(String(config ?? ''), 'base64').toString(),
      result: result ?? {},
    }
  } catch {
    return undefined
  }
}
