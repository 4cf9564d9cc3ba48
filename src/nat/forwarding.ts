/**
 * Forwarding of the host: on while an attachment needs it, and for nobody else.
 *
 * Turning it on makes a router of the host: whoever can send to it may send through it. So where we turn it
 * on, what has nothing to do with our containers is dropped: by the policy of FORWARD with iptables, by a
 * rule of our table with nftables. An administrator who wants the host to forward turns it on before, and
 * we neither drop nor take back anything.
 *
 *     open     guard, accept_ra, forwarding          close     forwarding, accept_ra, guard
 *
 * A host that forwards IPv6 stops listening to routers where accept_ra is 1, and loses its default route;
 * such interfaces get 2 first.
 *
 * When others have rules about forwarded packets by then, all stays as it is: they may rely on it.
 */

import { readdirSync } from 'node:fs'
import type { Family } from '../model/address/address.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import { readSysctl, writeSysctl } from '../netns/sysctl.ts'
import {
  closeForwardGuard,
  isForwardingOfOthers,
  needsForwardGuard,
  openForwardGuard,
} from './forward-guard.ts'

interface Setting {
  /** Below /proc/sys. */
  name: string
  before: string
  after: string
}

/** What was changed on the host, from which it can be taken back. Empty lists: nothing. */
export interface ForwardingChange {
  backend: NatBackend
  /** Kernel settings below /proc/sys that were written, in order, with the value each had. */
  settings: { name: string; before: string; after: string }[]
  /** Families whose forwarding was off and got a guard against unrelated forwarding. */
  guards: Family[]
}

const MAIN: Record<Family, string> = { 4: 'net/ipv4/ip_forward', 6: 'net/ipv6/conf/all/forwarding' }

/** True for a setting of this family. */
const isOf = (family: Family, { name }: Setting): boolean => name.startsWith(`net/ipv${family}/`)

/** What openForwarding tells while it goes on. */
export interface ForwardingSteps {
  /** Before anything is changed, so that whoever comes after a crash can take it back. */
  record?: (change: ForwardingChange) => void
  /** Guards families with other changes of the caller's. @returns those that are guarded then */
  guard?: (families: Family[]) => Promise<Family[]>
}

/**
 * Turns on forwarding where it is off.
 * @throws TsnetError `kernel`: the setting cannot be written
 */
export async function openForwarding(
  backend: NatBackend,
  families: Family[],
  { record = () => {}, guard = async () => [] }: ForwardingSteps = {},
): Promise<ForwardingChange> {
  const off = closedFamilies(families)
  const change: ForwardingChange = { backend, settings: off.flatMap(plannedSettings), guards: [] }
  for (const family of off) {
    if (await needsForwardGuard(backend, family)) change.guards.push(family)
  }
  if (off.length === 0) return change
  record(change)
  try {
    const guarded = await guard(change.guards)
    for (const family of change.guards.filter(name => !guarded.includes(name))) {
      await openForwardGuard(backend, family)
    }
    for (const { name, after } of change.settings) write(name, after)
  } catch (thrown) {
    await closeForwarding(change)
    throw thrown
  }
  return change
}

/**
 * Turns on forwarding for good, as the reference plugins do, and for everybody: a guard that stands since
 * we turned it on for our containers alone goes.
 * @param change what was changed so far
 * @returns what is left of it to be taken back
 * @throws TsnetError `kernel`: the setting cannot be written
 */
export async function keepForwarding(
  families: Family[],
  change: ForwardingChange,
): Promise<ForwardingChange> {
  for (const family of families) {
    if (readSysctl(MAIN[family]) === '0') switchOn(family)
    if (change.guards.includes(family)) await closeForwardGuard(change.backend, family)
  }
  return {
    backend: change.backend,
    settings: change.settings.filter(setting => !families.some(family => isOf(family, setting))),
    guards: change.guards.filter(family => !families.includes(family)),
  }
}

/** True for a change that turned forwarding of a family on. */
export const changes = ({ settings }: ForwardingChange, family: Family): boolean =>
  settings.some(({ name }) => name === MAIN[family])

/** Turns on forwarding of a family, of which is written down already how it is taken back. @throws TsnetError `kernel` */
export function switchOn(family: Family): void {
  for (const { name, after } of plannedSettings(family)) write(name, after)
}

/** The families in which the host does not forward. */
export const closedFamilies = (families: readonly Family[]): Family[] =>
  families.filter(family => readSysctl(MAIN[family]) === '0')

/** What to write, in this order. */
function plannedSettings(family: Family): Setting[] {
  const folder = `net/ipv${family}/conf`
  const names = readdirSync(`/proc/sys/${folder}`).filter(name => name !== 'all')
  const at = (name: string, key: string): string | undefined => readSysctl(`${folder}/${name}/${key}`)
  return [
    // The main setting overwrites these when it is written, whichever way.
    ...names
      .filter(name => at(name, 'forwarding') === '1')
      .map(name => ({ name: `${folder}/${name}/forwarding`, before: '1', after: '1' })),
    ...names
      .filter(name => family === 6 && name !== 'lo' && name !== 'default' && at(name, 'accept_ra') === '1')
      .map(name => ({ name: `${folder}/${name}/accept_ra`, before: '1', after: '2' })),
    { name: MAIN[family], before: '0', after: '1' },
  ]
}

function write(name: string, value: string): void {
  try {
    writeSysctl(name, value)
  } catch (cause) {
    throw new TsnetError('kernel', `${name} cannot be set to ${value}: ${messageOf(cause)}`, {
      details: `containers are reached through the host only where it forwards: set ${name} to ${value}`,
      cause,
    })
  }
}

/**
 * Takes back what openForwarding changed, unless others have rules about forwarded packets by now.
 * Idempotent.
 */
export async function closeForwarding(change: ForwardingChange): Promise<void> {
  for (const family of await restoreSettings(change)) await closeForwardGuard(change.backend, family)
}

/**
 * The first half of closeForwarding.
 * @returns the families whose guard is to go
 */
export async function restoreSettings(change: ForwardingChange): Promise<Family[]> {
  const guards: Family[] = []
  for (const family of [4, 6] as const) {
    const settings = change.settings.filter(setting => isOf(family, setting)).toReversed()
    const guarded = change.guards.includes(family)
    if (settings.length === 0 && !guarded) continue
    if (await isForwardingOfOthers(family)) continue
    for (const { name, before, after } of settings) {
      // Not what we wrote: somebody else has decided since.
      if (readSysctl(name) === after || (after === '1' && before === '1')) write(name, before)
    }
    if (guarded) guards.push(family)
  }
  return guards
}
