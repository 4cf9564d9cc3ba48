/**
 * What is left of containers that are no more, whatever network they were on, and how it goes.
 *
 *     records      attachments, and what portmap and firewall did, whose namespace is gone or that are of before the last
 *                  boot; attachments that somebody died making or taking down
 *     leases       addresses of such, also where nothing else is left, as after a reboot
 *     owners       rules, and users of what is shared, that no record and no link speaks of
 *     files        of the run directory, that killed processes left
 *     networks     that were made for podman, which has removed its own (abandoned.ts)
 *
 * Found is what is provably dead, and removed what was found: as a GC without a list of the living, of all networks. What
 * is being made or taken down has its lock held, and is left alone. A network whose addresses another plugin gives keeps
 * those: which of them are dead only its runtime knows, by whose GC they go.
 */

import { operationsIn } from '../cni/operations.ts'
import { collectFirewall } from '../drop-in/firewall.ts'
import { collectPorts } from '../drop-in/portmap.ts'
import { deadLeases, recordsFolder } from '../ipam/ipam.ts'
import { messageOf } from '../model/errors.ts'
import { type IpamOptions, LEASES_FOLDER, nameOfAttached, ownerTag } from '../model/network.ts'
import { shortName } from '../model/publication/container-name.ts'
import { everyStep } from '../model/undo.ts'
import { collectRules, findLost, findStrays } from '../network/collect-rules.ts'
import { isLost } from '../network/take-down.ts'
import { listRecords } from '../records/chained.ts'
import { deadCheck } from '../records/dead.ts'
import { HeldOwners } from '../records/hold.ts'
import { type Entry, listEntries } from '../records/records.ts'
import { untidyFiles } from '../records/tidy.ts'
import { listNetworks } from '../runtime/conflist.ts'
import { namesIn } from '../runtime/folder.ts'
import { findAbandoned } from './abandoned.ts'
import { hostLocalIn } from './look.ts'
import type { Host } from './places.ts'
import { removeNetwork, type TakeOff } from './remove.ts'

export const GARBAGE_KINDS = [
  'attachment',
  'portmap',
  'firewall',
  'lease',
  'rules',
  'user',
  'file',
  'network',
] as const

export interface Garbage {
  kind: (typeof GARBAGE_KINDS)[number]
  /** A container's name, an address, an owner tag, a path or a network. */
  what: string
  network?: string
  containerId?: string
  owner?: string
  /** A sentence. */
  why: string
}

/** Some addresses of a network. */
interface Place {
  name: string
  ipam: IpamOptions
  dropIn?: true
}

/** What there is; nothing is changed. */
export async function findGarbage(host: Host): Promise<Garbage[]> {
  const isDead = deadCheck()
  const entries = listEntries()
  using busy = new HeldOwners()
  const dead = entries.filter(
    ({ owner, entry }) => isDead(entry.attachment) || (entry.state !== 'attached' && busy.take(owner)),
  )
  busy[Symbol.dispose]()
  const attachments = dead.map(({ owner, entry }): Garbage => {
    const { network, containerId } = entry.attachment
    return {
      kind: 'attachment',
      what: nameOfAttached(entry.attachment),
      network,
      containerId,
      owner,
      why: whyDead(entry, isDead),
    }
  })
  const chained = (['portmap', 'firewall'] as const).flatMap(kind =>
    listRecords(kind)
      .filter(isDead)
      .map(({ network, containerId, ...key }): Garbage => {
        const owner = ownerTag({ network, containerId, ifname: key.ifname })
        return { kind, what: shortName(containerId), network, containerId, owner, why: GONE }
      }),
  )
  const gone = new Set(dead)
  const living = entries.filter(each => !gone.has(each)).map(({ entry }) => entry.attachment)
  const leases: Garbage[] = []
  for (const { name, ipam } of placesOf(host)) {
    const kept = living.filter(({ network }) => network === name)
    for (const { ip, containerId } of await deadLeases(ipam, name, kept))
      leases.push({
        kind: 'lease',
        what: ip,
        network: name,
        ...(containerId !== undefined && { containerId }),
        why: containerId === undefined ? 'it names no container' : `${shortName(containerId)} is no more`,
      })
  }
  const lost = new Set(findLost().filter(owner => isLost(owner)))
  const strays = (await findStrays()).filter(({ owner }) => !lost.has(owner))
  return [
    ...attachments,
    ...chained,
    ...leases,
    ...strays.map(
      ({ owner, backend }): Garbage => ({
        kind: 'rules',
        what: owner,
        owner,
        why: `${backend} has rules of nobody`,
      }),
    ),
    ...[...lost].map(
      (owner): Garbage => ({ kind: 'user', what: owner, owner, why: 'no record and no link speaks of it' }),
    ),
    ...untidyFiles().map((path): Garbage => ({ kind: 'file', what: path, why: 'whoever wrote it is gone' })),
    ...findAbandoned(host).map(garbageOf),
  ]
}

const GONE = 'its namespace is gone, or was of before the last boot'

const whyDead = ({ state, attachment }: Entry, isDead: ReturnType<typeof deadCheck>): string =>
  isDead(attachment) ? GONE : `whoever was ${state} it died`

export interface Collected {
  removed: Garbage[]
  /** What is still there. */
  kept: Garbage[]
  /** Why, as far as it was said; sentences. */
  failures: string[]
}

/**
 * Removes what there is.
 * @param takeOff how somebody is taken off a network, who appears on one while it is removed
 */
export async function removeGarbage(
  host: Host,
  env: NodeJS.ProcessEnv,
  takeOff: TakeOff,
): Promise<Collected> {
  const first = await findGarbage(host)
  if (first.length === 0) return { removed: [], kept: [], failures: [] }
  const failures = await tryAll(() => removalsOf(host, env))
  // Of those whose last container was dead.
  const abandoned = findAbandoned(host)
  const found = [...first.filter(({ kind }) => kind !== 'network'), ...abandoned.map(garbageOf)]
  const remove = (each: (typeof abandoned)[number]) => async () =>
    void (await removeNetwork(each, host, { force: false, isDry: false, takeOff }))
  failures.push(...(await tryAll(async () => abandoned.map(remove))))
  const left = new Set((await findGarbage(host)).map(keyOf))
  return {
    removed: found.filter(each => !left.has(keyOf(each))),
    kept: found.filter(each => left.has(keyOf(each))),
    failures,
  }
}

const garbageOf = ({ name }: { name: string }): Garbage => ({
  kind: 'network',
  what: name,
  network: name,
  why: 'podman has removed its own',
})

const keyOf = ({ kind, what, network = '', owner = '' }: Garbage): string =>
  JSON.stringify([kind, what, network, owner])

type Step = () => Promise<void>

async function removalsOf(host: Host, env: NodeJS.ProcessEnv): Promise<Step[]> {
  const { collect } = await operationsIn(env)
  const places = placesOf(host)
  const chained = (['portmap', 'firewall'] as const).flatMap(role =>
    listRecords(role).map(({ network }) => network),
  )
  return [
    ...[...new Set(chained)].flatMap(name => [
      () => collectPorts(name, undefined),
      () => collectFirewall(name, undefined),
    ]),
    ...places.map(place => async () => void (await collect(place, undefined))),
    () => collectRules({}),
  ]
}

/** @returns why, where some of it failed */
async function tryAll(steps: () => Promise<Step[]>): Promise<string[]> {
  try {
    await everyStep(await steps())
    return []
  } catch (thrown) {
    return (thrown instanceof AggregateError ? thrown.errors : [thrown]).map(messageOf)
  }
}

/** Every network that may have something: those of records, of lists, and those of which we remember leases. */
function placesOf(host: Host): Place[] {
  const places = new Map<string, Place>()
  const add = ({ name, ipam, dropIn }: Place) => {
    const own: IpamOptions = ipam.kind === 'host-local' ? ipam : { kind: 'none' }
    const key = JSON.stringify([name, own.kind === 'host-local' ? own.dataDir : undefined])
    if (!places.has(key)) places.set(key, { name, ipam: own, ...(dropIn && { dropIn }) })
  }
  for (const { entry } of listEntries()) {
    const { network, ipam, dropIn } = entry.attachment
    add({ name: network, ipam, ...(dropIn !== undefined && { dropIn: true as const }) })
  }
  for (const { list } of listNetworks(host.confDir))
    for (const { type, config } of list.plugins) {
      const ipam = hostLocalIn(config)
      if (ipam !== undefined)
        add({ name: list.name, ipam, ...(type === 'bridge' && { dropIn: true as const }) })
    }
  for (const name of namesIn(recordsFolder(LEASES_FOLDER)))
    add({ name, ipam: { kind: 'host-local', dataDir: LEASES_FOLDER, ranges: [], routes: [] } })
  return [...places.values()]
}
