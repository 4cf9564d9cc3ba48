/**
 * What drops frames below the routed hooks: in the family bridge, at ingress and egress of interfaces. Asked by whoever
 * looks for what is wrong; no publication is decided by it, as none of it is in the way of a proxy alone.
 */

import type { Family } from '../model/address/address.ts'
import { framesBeside, framesHere, framesIn, framesOut, type Hanging } from './frames.ts'
import {
  answering,
  type By,
  bridged,
  inward,
  type Journey,
  type Outgoing,
  outward,
  type Peer,
  type ProxiedPort,
  type PublishedPort,
  returning,
  toProxy,
} from './journey.ts'
import { findDrop, findObstacleOverUplinks, type Obstacle } from './judge.ts'
import type { Interface } from './packet.ts'
import { withRules } from './ruleset-here.ts'
import { interfaceNamed, uplinksBeside } from './uplinks.ts'

/** Where a container hangs on the host, by names. */
export interface HangingBy {
  bridge: string
  port?: string
  mac?: string
  bridgeMac?: string
}

/** What drops frames of connections to published ports, or of their answers, below the routed hooks. */
export const obstacleToPortFrames = (
  ports: readonly By<PublishedPort>[],
  by: HangingBy,
): Obstacle | undefined =>
  obstacleBelow(ports, by, (port, hanging) => [
    peer => framesIn(inward(port, peer), peer, hanging),
    peer =>
      framesOut(answering(port, peer), peer, hanging, {
        source: port.hostIp ?? peer.hostIp ?? 'somebody',
        sourcePort: port.hostPort,
      }),
  ])

/** As obstacleToPortFrames, of ports that a process of this host listens on. */
export const obstacleToProxyFrames = (ports: readonly By<ProxiedPort>[]): Obstacle | undefined =>
  obstacleBelow(ports, undefined, port => [peer => framesHere(toProxy(port, peer), peer)])

/** What drops frames that containers send out, or of the answers to that. @param masked with the host's address */
export const obstacleToSentFrames = (
  outgoing: readonly By<Outgoing>[],
  by: HangingBy,
  masked: boolean,
): Obstacle | undefined =>
  obstacleBelow(outgoing, by, (each, hanging) => [
    peer =>
      framesOut(outward(each, peer), peer, hanging, masked ? { source: peer.hostIp ?? 'somebody' } : {}),
    peer => framesIn(returning(each, peer), peer, hanging),
  ])

/** What drops all that a container sends to others on its bridge. */
export const obstacleToFramesBetween = (sent: By<Outgoing>, by: HangingBy): Obstacle | undefined =>
  withRules(ruleset => {
    if (ruleset.hasLinkChains?.() !== true) return undefined
    const hanging = hangingOf(by)
    const drop = findDrop(framesBeside(bridged({ ...sent, bridge: hanging.bridge }), hanging), ruleset)
    return drop?.certainty === 'all' ? drop : undefined
  })

const hangingOf = ({ bridge, port, ...macs }: HangingBy): Hanging => ({
  bridge: interfaceNamed(bridge),
  ...(port !== undefined && { port: interfaceNamed(port) }),
  ...macs,
})

function obstacleBelow<T extends { family: Family }>(
  subjects: readonly By<T & { bridge: Interface }>[],
  by: HangingBy | undefined,
  ways: (subject: T & { bridge: Interface }, hanging: Hanging) => ((peer: Peer) => Journey)[],
): Obstacle | undefined {
  return withRules(ruleset => {
    if (subjects.length === 0 || ruleset.hasLinkChains?.() !== true) return undefined
    const hanging = hangingOf(by ?? { bridge: 'lo' })
    const { bridge } = hanging
    const all = subjects.flatMap(subject =>
      ways({ ...subject, bridge } as T & { bridge: Interface }, hanging),
    )
    return findObstacleOverUplinks(all, { ruleset, bridge, uplinks: uplinksBeside(bridge.name) })
  })
}
