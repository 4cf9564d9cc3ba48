/**
 * What attachments of one host share: a bridge, a rule set, the switch that makes the host a router.
 *
 * Each has a list of users. The first user makes it, the last one takes it back; who is last is known
 * without counting. Bridge and switch are made and given up under a lock. The rules need none: the kernel
 * itself refuses to delete what somebody uses, and whoever leaves a list looks afterwards whether anybody is
 * left, so of any number that leave at once one sees to the rest.
 *
 * What was changed on things that are not ours is written down before it happens: on an adopted bridge a
 * *loan*, on the host a *forwarding change*.
 */

import { type BridgeLoan, disconnect } from '../bridge/bridge.ts'
import { type Family, familiesOf } from '../model/address/address.ts'
import type { NatBackend, NatIntent } from '../model/network.ts'
import { present } from '../model/present.ts'
import {
  changes,
  closedFamilies,
  type ForwardingChange,
  install,
  keepForwarding as keep,
  openForwarding,
  restoreSettings,
  switchOn,
  withdraw,
} from '../nat/nat.ts'
import {
  addUser,
  isLastUser,
  isUser,
  listUsers,
  namesUsed,
  removeUser,
  whileLocked,
} from '../records/records.ts'
import { listNames } from '../records/run-directory.ts'
import { forwardingShape, loanShape } from '../records/shapes.ts'
import { readKept, writeKept } from '../records/state-files.ts'

const bridgeOf = (name: string): string => `bridge-${name}`
const loanOf = (name: string): string => `bridges/${name}.json`
const RULES = 'nat-'
const rulesOf = (backend: NatBackend): string => RULES + backend
const guestOf = (owner: string): string => `guest-${owner}`
const FORWARDING = 'forwarding'
const HOST = 'host.json'

/** Does something to a bridge or its ports while nobody else makes or deletes it. */
export const whileBridgeLocked = <T>(name: string, work: () => T | Promise<T>): Promise<T> =>
  whileLocked(bridgeOf(name), work)

/** To be called under the bridge's lock. */
export const joinBridge = (name: string, owner: string): void => addUser(bridgeOf(name), owner)

/** Remembers what is about to be changed on a bridge that is not ours. */
export function recordLoan(name: string, loan: BridgeLoan): void {
  const earlier = readLoan(name) ?? { addresses: [], promiscuous: false, settings: [] }
  const known = new Set(earlier.settings.map(setting => setting.name))
  writeKept(loanOf(name), {
    addresses: [...new Set([...earlier.addresses, ...loan.addresses])],
    promiscuous: earlier.promiscuous || loan.promiscuous,
    // The first value a setting had is the one to go back to.
    settings: [...earlier.settings, ...loan.settings.filter(setting => !known.has(setting.name))],
    ...present({ uplinks: joined(earlier.uplinks, loan.uplinks) }),
  } satisfies BridgeLoan)
}

/** As they were when they were first plugged in. */
function joined(
  earlier: BridgeLoan['uplinks'] = [],
  more: BridgeLoan['uplinks'] = [],
): BridgeLoan['uplinks'] | undefined {
  const all = [...earlier, ...more.filter(({ name }) => earlier.every(each => each.name !== name))]
  return all.length === 0 ? undefined : all
}

/** The bridge that an interface of the host was plugged into by us. */
export const bridgeOfUplink = (uplink: string): string | undefined =>
  listNames('bridges')
    .filter(file => file.endsWith('.json'))
    .map(file => file.slice(0, -'.json'.length))
    .find(name => readLoan(name)?.uplinks?.some(each => each.name === uplink))

/**
 * Takes an owner's link off the bridge. The last user gives the bridge up with it: ours is deleted,
 * another's gets back what we changed. Idempotent.
 */
export async function leaveBridge(
  name: string,
  owner: string,
  trace?: (equivalent: string) => void,
): Promise<void> {
  const { gone } = await whileBridgeLocked(name, async () => {
    if (isLastUser(bridgeOf(name), owner)) {
      const loan = readLoan(name)
      await disconnect({ owner, lastOn: { bridge: name, loan } }, trace)
      writeKept(loanOf(name), undefined)
      removeUser(bridgeOf(name), owner)
      return { gone: undefined }
    }
    const gone = disconnect({ owner }, trace)
    gone.catch(() => {}) // looked at below
    removeUser(bridgeOf(name), owner)
    return { gone }
  })
  // Not under the lock, so that many who leave one bridge share a wait.
  await gone
}

/** Bridges that an owner has a link on, for want of a record that says it. */
export const bridgesOf = (owner: string): string[] => namesUsed(bridgeOf(''), owner)

/** Those resources whose users are owner tags of attachments, publications and guests. */
export const usedByOwners = (resources: readonly string[]): string[] =>
  resources.filter(name => name.startsWith(bridgeOf('')) || name.startsWith(RULES) || name === FORWARDING)

/** Installs an attachment's rules and lets the host forward. */
export async function installRules(backend: NatBackend, intent: NatIntent): Promise<void> {
  const users = rulesOf(backend)
  const first = isLastUser(users, intent.owner)
  const families = familiesOf(intent.addresses)
  const forwards = closedFamilies(families).length === 0
  addUser(users, intent.owner)
  if (forwards) await install(backend, intent, { first })
  // Only now: the guards are in place before the first packet can be forwarded.
  await whileLocked(FORWARDING, async () => {
    addUser(FORWARDING, intent.owner)
    let installed = forwards
    const guard = async (guards: Family[]) => {
      if (installed) return []
      installed = true
      await install(backend, intent, { first, guards })
      return backend === 'iptables' ? guards : []
    }
    const record = (change: ForwardingChange) => writeKept(HOST, [...readChanges(), change])
    await openForwarding(backend, families, { record, guard })
    // Somebody else has turned it on meanwhile.
    if (!installed) await install(backend, intent, { first })
  })
}

/** Turns forwarding on for good: from now on nobody takes it back. */
export async function keepForwarding(families: Family[]): Promise<void> {
  await whileLocked(FORWARDING, async () => {
    const changes: ForwardingChange[] = []
    for (const change of [...readChanges(), NO_CHANGE]) changes.push(await keep(families, change))
    const left = changes.filter(({ settings, guards }) => settings.length + guards.length > 0)
    writeKept(HOST, left.length === 0 ? undefined : left)
  })
}

const NO_CHANGE: ForwardingChange = { backend: 'iptables', settings: [], guards: [] }

/**
 * What withdrawRules begins with where an owner is the last: the host forwards no more. Before any link is deleted:
 * whoever writes such a setting while the kernel is at that spins until it is done (it gives a write up that finds
 * RTNL taken, and begins it again), and with it everything else that this thread has to do.
 */
export async function stopForwarding(owner: string): Promise<void> {
  if (!isLastUser(FORWARDING, owner)) return
  await whileLocked(FORWARDING, async () => {
    if (!isLastUser(FORWARDING, owner)) return
    for (const change of readChanges().toReversed()) await restoreSettings(change)
  })
}

/** True for one that is counted among those who have rules. */
export const hasRules = (backend: NatBackend, owner: string): boolean => isUser(rulesOf(backend), owner)

/** Takes an attachment's rules away, and with the last one all that was changed for them. Idempotent. */
export async function withdrawRules(backend: NatBackend, owner: string, intent?: NatIntent): Promise<void> {
  const users = rulesOf(backend)
  let asLast = false
  const leave = async (changes: ForwardingChange[]) => {
    asLast = isLastUser(users, owner)
    const hint = { last: asLast, changes, ...present({ intent }) }
    await withdraw(backend, owner, hint)
  }
  const isDone = await whileLocked(FORWARDING, async () => {
    const last = isLastUser(FORWARDING, owner)
    if (last) {
      await leave(readChanges())
      writeKept(HOST, undefined)
    }
    removeUser(FORWARDING, owner)
    return last
  })
  if (!isDone) await leave([])
  removeUser(users, owner)
  // Of those that leave at once nobody may be the last, but one is the last to look.
  if (!asLast && isLastUser(users, owner)) await withdraw(backend, owner, { last: true })
}

/**
 * Lets published ports reach a container that is somebody else's; several publications share that.
 * @param user id of the publication
 */
export async function admitGuest(backend: NatBackend, guest: NatIntent, user: string): Promise<void> {
  const resource = guestOf(guest.owner)
  await whileLocked(resource, async () => {
    if (isLastUser(resource, user)) await installRules(backend, guest)
    addUser(resource, user)
  })
}

/** True for who stands for containers of others, and not for an attachment. */
export const isGuest = (owner: string): boolean => listUsers(guestOf(owner)).length > 0

/** Does something about a guest's rules unless a publication has him, and while none comes. */
export const unlessAdmitted = (owner: string, work: () => Promise<void>): Promise<void> =>
  whileLocked(guestOf(owner), async () => {
    if (!isGuest(owner)) await work()
  })

/** The last publication takes that back. Idempotent. */
export async function dismissGuest(backend: NatBackend, guest: NatIntent, user: string): Promise<void> {
  const resource = guestOf(guest.owner)
  await whileLocked(resource, async () => {
    if (isLastUser(resource, user)) await withdrawRules(backend, guest.owner, guest)
    removeUser(resource, user)
  })
}

/** Does something to what all share while no last user takes it back. */
export const whileRulesShared = <T>(work: () => Promise<T>): Promise<T> => whileLocked(FORWARDING, work)

/** Families in which the host forwards for our containers alone, by a guard that this backend has. */
export const guardedFamilies = (backend: NatBackend): Family[] => [
  ...new Set(readChanges().flatMap(change => (change.backend === backend ? change.guards : []))),
]

/**
 * Turns forwarding on again where somebody has turned it off while it is used. What was not turned on by us before is
 * from now on, and guarded.
 * @returns the families in which it was off
 * @throws TsnetError `kernel`
 */
export async function reopenForwarding(backend: NatBackend, families: readonly Family[]): Promise<Family[]> {
  if (closedFamilies(families).length === 0) return []
  return whileLocked(FORWARDING, async () => {
    const closed = closedFamilies(families)
    if (isLastUser(FORWARDING, NOBODY)) return []
    for (const family of closed) {
      const isOurs = readChanges().some(change => changes(change, family))
      const record = (change: ForwardingChange) => writeKept(HOST, [...readChanges(), change])
      if (isOurs) switchOn(family)
      else await openForwarding(backend, [family], { record })
    }
    return closed
  })
}

/** No owner tag. */
const NOBODY = ''

const readChanges = (): ForwardingChange[] => readKept<ForwardingChange[]>(HOST, forwardingShape) ?? []

const readLoan = (name: string): BridgeLoan | undefined => readKept<BridgeLoan>(loanOf(name), loanShape)
