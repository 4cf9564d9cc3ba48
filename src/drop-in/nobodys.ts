/**
 * Which addresses are nobody's. The reference plugin firewall writes nothing down but them, into its rules.
 *
 * An address is somebody's while
 *
 *     a record of ours speaks of it
 *     a network namespace has it that some process is in, holds or has mounted
 *     it is leased to somebody who is not left out of a list, and of whom libcni's cache does not say where he was,
 *     or says it and there still is such a place: a virtual machine may have taken the address from its namespace
 */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { LeaseStore } from '../ipam/store.ts'
import { type Ip, ipOf } from '../model/address/address.ts'
import { LEASES_FOLDER, nameInNetwork } from '../model/network.ts'
import { listAddresses } from '../netlink/address.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { namespacesInUse } from '../netns/alive.ts'
import { inside, tryOpenNetns } from '../netns/netns.ts'
import { listRecords } from '../records/chained.ts'
import { listNames, readJson } from '../runtime/files.ts'
import { placesOf } from '../runtime/places.ts'

/** An attachment as lists of GC name it. */
type Valid = readonly { containerId: string; ifname: string }[]

/** @param valid all attachments of a network that live, where that is known */
export const nobodysCheck = (network: string, valid: Valid | undefined) => (ips: readonly Ip[]) => {
  const known = listRecords('firewall').flatMap(({ intent }) => intent.addresses.map(ipOf))
  const someones = new Set([...known, ...addressesInUse()])
  const lives = valid && new Set(valid.map(nameInNetwork))
  const folders = listNames(LEASES_FOLDER)
  return ips.filter(
    ip =>
      !someones.has(ip) && !folders.some(name => isLeased(ip, name, name === network ? lives : undefined)),
  )
}

/** Addresses of all network namespaces that there are. */
function addressesInUse(): Ip[] {
  return [...namespacesInUse().values()].flatMap(path => {
    using netns = tryOpenNetns(path)
    if (netns === undefined) return []
    return inside(netns, () => {
      using nl = openNetlink()
      return listAddresses(nl).map(({ address }) => ipOf(address))
    })
  })
}

/** @param lives who does on this network, where that is known */
function isLeased(ip: Ip, network: string, lives: ReadonlySet<string> | undefined): boolean {
  const holder = new LeaseStore(join(LEASES_FOLDER, network)).read(ip)
  if (holder === undefined || holder === 'garbage') return false
  const { containerId, ifname = 'eth0' } = holder
  if (lives !== undefined) return lives.has(nameInNetwork({ containerId, ifname }))
  const cached = readJson(join(placesOf().cniCache, `${network}-${containerId}-${ifname}`))
  return typeof cached?.netns !== 'string' || existsSync(cached.netns)
}
