/**
 * Whether others' rules drop what has to come through, and how sure that is.
 *
 *     anybody, from anywhere      nothing drops it ─▶ no obstacle       all is dropped ─▶ `all`
 *     anybody, over each uplink                                         all is dropped ─▶ `all`
 *     somebody, over each uplink  nothing drops it ─▶ no obstacle       all is dropped ─▶ `outside`
 *                                                                       something may  ─▶ `perhaps`
 *
 * *Somebody* is whom no rule names: a list of blocked addresses is no obstacle to him, and a list of allowed ones
 * does not help him. Most hosts are done with the first line; only then it is asked which interfaces there are.
 */

import type { Family, Ip } from '../model/address/address.ts'
import type { Journey, Peer } from './journey.ts'
import { type Interface, LOOPBACK, packetOf } from './packet.ts'
import type { Ruleset } from './rule.ts'
import { type Fate, type Own, type Place, walk } from './walk.ts'

/** `all`: nobody gets through. `outside`: nobody but those whom rules name. `perhaps`: not known. */
export type Certainty = 'all' | 'outside' | 'perhaps'

export interface Obstacle {
  certainty: Certainty
  /** What is dropped, in words. */
  what: string
  place: Place
}

/** An interface over which clients come, with an address of the host on it. */
export interface Uplink extends Interface {
  ip?: Ip
}

export interface Surrounding {
  ruleset: Ruleset
  own?: Own
  /** The bridge of the container: clients come by another interface. */
  bridge: Interface
  /** Asked for where it matters by which interface somebody comes. */
  uplinks: (family: Family) => readonly Uplink[]
}

/** A port that clients' systems choose (RFC 6056). */
const EPHEMERAL = 50_000

type Way = (peer: Peer) => Journey

/** The first obstacle on any of these ways, the surest of all. */
export const findObstacle = (ways: readonly Way[], surrounding: Surrounding): Obstacle | undefined =>
  surest(ways.map(way => judge(way, surrounding)))

/** As findObstacle, where chains stand at interfaces, so that nobody comes from anywhere. */
export const findObstacleOverUplinks = (
  ways: readonly Way[],
  surrounding: Surrounding,
): Obstacle | undefined => surest(ways.map(way => judgeOverUplinks(way, surrounding)))

const surest = (found: (Obstacle | undefined)[]): Obstacle | undefined =>
  ORDER.map(certainty => found.find(each => each?.certainty === certainty)).find(Boolean)

const ORDER: readonly Certainty[] = ['all', 'outside', 'perhaps']

/** What may drop what goes one way, whoever sends it. */
export function findDrop(journey: Journey, ruleset: Ruleset): Obstacle | undefined {
  const { passes, drops } = fateOf(journey, { ruleset })
  const place = drops.at(passes ? 0 : -1)
  return place && { certainty: passes ? 'perhaps' : 'all', what: journey.what, place }
}

function judge(way: Way, surrounding: Surrounding): Obstacle | undefined {
  const { bridge } = surrounding
  const anywhere = way({ address: 'anybody', by: { not: [bridge, LOOPBACK] } })
  const anybody = fateOf(anywhere, surrounding)
  if (anybody.drops.length === 0) return undefined
  if (!anybody.passes) return obstacleIn(anybody, 'all', anywhere)
  return judgeOverUplinks(way, surrounding)
}

function judgeOverUplinks(way: Way, surrounding: Surrounding): Obstacle | undefined {
  const { bridge, uplinks } = surrounding
  const journey = way({ address: 'anybody', by: { not: [bridge, LOOPBACK] } })
  const over = (peer: Omit<Peer, 'by' | 'hostIp'>): Fate[] =>
    uplinks(journey.family).map(({ ip: hostIp, ...by }) =>
      fateOf(way({ ...peer, by, ...(hostIp !== undefined && { hostIp }) }), surrounding),
    )
  const each = over({ address: 'anybody' })
  const [first] = each
  if (first !== undefined && each.every(({ passes }) => !passes)) return obstacleIn(first, 'all', journey)
  const strangers = over({ address: 'somebody', port: EPHEMERAL })
  const dropped = strangers.find(({ passes }) => !passes)
  if (dropped !== undefined) return obstacleIn(dropped, 'outside', journey)
  const open = strangers.find(({ drops }) => drops.length > 0)
  return open && obstacleIn(open, 'perhaps', journey)
}

function obstacleIn({ passes, drops }: Fate, certainty: Certainty, { what }: Journey): Obstacle | undefined {
  const place = drops.at(passes ? 0 : -1)
  return place && { certainty, what, place }
}

function fateOf(
  { hooks, family, at }: Journey,
  { ruleset, own }: Pick<Surrounding, 'ruleset' | 'own'>,
): Fate {
  const chains = hooks.flatMap(hook => ruleset.baseChains(hook, family))
  return walk(ruleset, chains, chain => packetOf(at(chain)), own)
}
