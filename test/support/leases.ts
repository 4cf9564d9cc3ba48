/**
 * Networks of leases in a folder of their own, for tests of addresses.
 */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { giveBack, type LeaseOwner, obtain, recordsFolder } from '../../src/ipam/ipam.ts'
import { type Ip, ipOf, parseCidr, parseIp } from '../../src/model/address/address.ts'
import { type AddressRange, type IpamOptions, type Lease, ownerTag } from '../../src/model/network.ts'
import { present } from '../../src/model/present.ts'

export type HostLocal = Extract<IpamOptions, { kind: 'host-local' }>

/** A range as configurations write it. */
export interface RangeText {
  subnet: string
  rangeStart?: string
  rangeEnd?: string
  gateway?: string
}

/** `10.1.0.0/24` stands for a range with nothing but its subnet. */
export function range(text: string | RangeText): AddressRange {
  const { subnet, rangeStart, rangeEnd, gateway } = typeof text === 'string' ? { subnet: text } : text
  const ip = (address: string | undefined) => (address === undefined ? undefined : parseIp(address))
  return present({
    subnet: parseCidr(subnet),
    rangeStart: ip(rangeStart),
    rangeEnd: ip(rangeEnd),
    gateway: ip(gateway),
  })
}

/** Options of a network with these sets of ranges. */
export const hostLocal = (dataDir: string, ...sets: (string | RangeText)[][]): HostLocal => ({
  kind: 'host-local',
  dataDir,
  ranges: sets.map(set => set.map(range)),
  routes: [],
})

export const NETWORK = 'net'

/** An owner whose end nothing but another boot id tells. */
export const owner = (containerId: string, more: Partial<LeaseOwner> = {}): LeaseOwner => ({
  network: NETWORK,
  containerId,
  ifname: 'eth0',
  bootId: 'this boot',
  ...more,
})

export const addressesOf = (leases: Lease[]): Ip[] => leases.map(({ address }) => ipOf(address))

/** Takes addresses for a container. @returns them without their lengths */
export async function take(options: HostLocal, containerId: string, ...requested: string[]): Promise<Ip[]> {
  const asked = requested.map(text => parseIp(text))
  return addressesOf((await obtain(options, owner(containerId), asked)).leases)
}

export const release = (options: HostLocal, containerId: string): Promise<void> =>
  giveBack(options, owner(containerId), undefined)

/** The lease files and what is in them; neither the lock nor the marks of the round robin. */
export function leaseFiles(dataDir: string): Record<string, string> {
  const directory = join(dataDir, NETWORK)
  if (!existsSync(directory)) return {}
  const names = readdirSync(directory).filter(
    name => name !== 'lock' && !name.startsWith('last_reserved_ip.'),
  )
  return Object.fromEntries(names.sort().map(name => [name, readFileSync(join(directory, name), 'utf8')]))
}

/** Names of the files in which we remember owners. */
export function recordFiles(dataDir: string): string[] {
  const directory = join(dataDir, '.tsnet', NETWORK)
  return existsSync(directory) ? readdirSync(directory).sort() : []
}

/** Writes a lease as another program would. */
export function plantLease(dataDir: string, ip: string, content: string): void {
  const directory = join(dataDir, NETWORK)
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, ip), content, { flag: 'wx' })
}

/** What a power loss leaves of a file: its name and its time. */
export function tear(path: string, text: string): void {
  const time = Number(statSync(path, { bigint: true }).mtimeNs / 1000n) / 1e6
  writeFileSync(path, text)
  // Half a microsecond more, since a number of seconds is not exact to the last.
  utimesSync(path, time + 0.5e-6, time + 0.5e-6)
}

/** Our record of who has addresses in NETWORK. */
export const recordOf = (dataDir: string, who: string): string =>
  join(recordsFolder(dataDir), NETWORK, ownerTag(owner(who)))
