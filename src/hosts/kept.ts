/**
 * What this host has of a network of hosts, as files that outlive its daemon and the machine's next boot: so an ADD knows
 * its prefix without asking anybody.
 *
 *     /var/lib/tsnet/hosts/id.json               who this host is, made once, and on which machine
 *     /var/lib/tsnet/hosts/networks/front.json   its number, and until when it may be believed
 */

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { type Cidr, isCidr } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { type HostPool, type HostsOptions, prefixesOf, rangesOf } from '../model/hosts/hosts.ts'
import { listOf, number, optional, record, text, when, within } from '../model/json/shape.ts'
import type { AddressRange } from '../model/network.ts'
import { sha256 } from '../model/sha256.ts'
import { currentBootId } from '../netns/alive.ts'
import { readKept, writeKept } from '../records/state-files.ts'
import { isHostId } from './keys.ts'

export interface Kept {
  number: number
  /** How the network was cut, whose number this is. */
  pools: HostPool[]
  /** Of what containers send. */
  mtu: number
  /** The boot in which it was written, and until when by that boot's clock (milliseconds) nobody else can have it. */
  bootId: string
  until: number
  /** The same by the clock of the world, for another boot: from when and until when. */
  writtenAt: number
  worldUntil: number
}

const ID = 'lasting/hosts/id.json'
const fileOf = (network: string): string => `lasting/hosts/networks/${network}.json`

const idShape = record({
  id: when(value => isHostId(String(value)), 'the id of a host'),
  machine: optional(text),
})
const shape = record({
  number: within(0, 65_535),
  pools: listOf(record({ subnet: when(isCidr, 'a prefix'), hostPrefix: within(1, 128) })),
  mtu: within(68, 65_535),
  bootId: text,
  until: number,
  writtenAt: number,
  worldUntil: number,
})

/** Goes on while the machine sleeps. */
export const bootClock = (): number => uptime() * 1_000

/** By which a machine differs from a copy of it: the number of its board, or what the system calls itself. */
const MACHINE = ['/sys/class/dmi/id/product_uuid', '/etc/machine-id']

function thisMachine(): string {
  for (const path of MACHINE) {
    try {
      return readFileSync(path, 'utf8').trim()
    } catch {
      // Not every machine has it.
    }
  }
  return ''
}

/**
 * Who this host is. A file that another machine wrote came with a copy of its disk: then this is another host, or it would
 * take the prefix of the first one as soon as that is cut off.
 */
export function hostId(machine = thisMachine()): string {
  const known = readKept<{ id: string; machine?: string }>(ID, idShape)
  const mark = machine === '' ? known?.machine : sha256(machine).slice(0, 16)
  const isCopy = known?.machine !== undefined && known.machine !== mark
  const id = known === undefined || isCopy ? randomBytes(8).toString('hex') : known.id
  if (id !== known?.id || known.machine !== mark) writeKept(ID, { id, ...(mark && { machine: mark }) })
  return id
}

/** @param pools as the network is cut now: a number of another cut is none; absent: of whichever */
export function readHeld(network: string, pools?: readonly HostPool[]): Kept | undefined {
  const held = readKept<Kept>(fileOf(network), shape)
  return held === undefined || pools === undefined || isSameCut(held.pools, pools) ? held : undefined
}

/** @param until by this boot's clock */
export function writeHeld(network: string, held: Pick<Kept, 'number' | 'pools' | 'mtu' | 'until'>): void {
  const writtenAt = Date.now()
  const worldUntil = writtenAt + held.until - bootClock()
  writeKept(fileOf(network), { ...held, bootId: currentBootId(), writtenAt, worldUntil } satisfies Kept)
}

export const forgetHeld = (network: string): void => writeKept(fileOf(network), undefined)

/** True while nobody else can have it. A clock that was put back is no clock to believe. */
export function isBelieved({ bootId, until, writtenAt, worldUntil }: Kept): boolean {
  if (bootId === currentBootId()) return bootClock() < until
  const now = Date.now()
  return writtenAt <= now && now < worldUntil
}

/** One that is cut otherwise has other prefixes under the same numbers. */
const isSameCut = (a: readonly HostPool[], b: readonly HostPool[]): boolean =>
  JSON.stringify(a.map(({ subnet, hostPrefix }) => [subnet, hostPrefix])) ===
  JSON.stringify(b.map(({ subnet, hostPrefix }) => [subnet, hostPrefix]))

/** What an attachment needs to know. */
export interface OwnPart {
  prefixes: Cidr[]
  ranges: AddressRange[][]
  mtu: number
}

/** This host's part of a network. @throws TsnetError `try-again`: it has none, or may not have it any more */
export function ownPart(network: string, { pools }: Pick<HostsOptions, 'pools'>): OwnPart {
  const held = readHeld(network, pools)
  if (held === undefined) {
    throw new TsnetError('try-again', `network ${network}: this host has no prefix of it yet`, {
      details: 'the daemon claims one when it runs and reaches etcd: `tsnet host ls` says what keeps it',
    })
  }
  if (!isBelieved(held)) {
    throw new TsnetError(
      'try-again',
      `network ${network}: this host has not reached etcd for so long that another may have its prefix by now`,
      { details: 'once the daemon reaches etcd again, it has a prefix' },
    )
  }
  const prefixes = prefixesOf(pools, held.number)
  return { prefixes, ranges: rangesOf(prefixes), mtu: held.mtu }
}
