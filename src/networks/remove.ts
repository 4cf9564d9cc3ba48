/** Removing a network that was made by hand. */

import { basename, join } from 'node:path'
import { removeFile, removeFolder } from '../ffi/remove.ts'
import { recordsFolder } from '../ipam/ipam.ts'
import { tryParseIp } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { LEASES_FOLDER } from '../model/network.ts'
import { everyStep } from '../model/undo.ts'
import { whileLocked } from '../records/records.ts'
import { namesIn } from '../runtime/folder.ts'
import { LOCK } from './create.ts'
import { removeList } from './file.ts'
import { isAlive, type Known, listKnown } from './known.ts'
import { membersOf, type NetworkInfo } from './look.ts'
import type { Host } from './places.ts'

/** How somebody is taken off a network: by running its list, which is done above. */
export type TakeOff = (known: Known) => Promise<void>

/**
 * @param options `isDry`: it is only said; `force` takes off who is on it; else they are a reason to refuse. Who is gone is taken off in any case
 * @returns who is taken off
 * @throws TsnetError `conflict` naming who is on it, or the file where somebody else made it; `io`
 */
export function removeNetwork(
  { name, file, created }: NetworkInfo,
  host: Host,
  { force, isDry, takeOff }: { force: boolean; isDry: boolean; takeOff: TakeOff },
): Promise<Known[]> {
  if (created === undefined)
    throw new TsnetError(
      'conflict',
      `network ${name} was not made by tsnet network create; whoever made it removes it, or you do: ${file}`,
    )
  return whileLocked(LOCK, async () => {
    const known = listKnown(host).filter(({ network }) => network === name)
    if (!force && known.some(isAlive)) throw inUse(host, name)
    if (isDry) return known
    await everyStep(known.map(each => () => takeOff(each)))
    removeList(file)
    forgetLeases(join(LEASES_FOLDER, name))
    return known
  })
}

function inUse(host: Host, name: string): TsnetError {
  const members = membersOf(host, name).filter(({ alive }) => alive)
  const words = members.map(({ name, ifname, addresses }) => [name, ifname, ...addresses].join(' '))
  return new TsnetError(
    'conflict',
    `network ${name} is in use by ${members.map(member => member.name).join(', ')}; take them off it first (tsnet detach ${name} CONTAINER, or as their runtime does it), or all with --force`,
    { details: words.join('\n') },
  )
}

/** Where the round robin stands, and the folders of leases and of their records; not where an address is still given, which somebody may have who is not known here. */
function forgetLeases(folder: string): void {
  const names = namesIn(folder)
  if (names.some(each => tryParseIp(each) !== undefined)) return
  for (const each of names.filter(name => /^(last_reserved_ip\.\d+|lock)$/.test(name)))
    removeFile(join(folder, each))
  removeFolder(folder)
  removeFolder(join(recordsFolder(LEASES_FOLDER), basename(folder)))
  // Of the last network the folders of all.
  removeFolder(recordsFolder(LEASES_FOLDER))
  removeFolder(LEASES_FOLDER)
}
