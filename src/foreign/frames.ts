/**
 * What the packets of a journey pass below the routed hooks: chains of a bridge, and those that stand at one interface.
 *
 *     in      ingress uplink ─▶ (routed hooks) ─▶ egress bridge ─▶ bridge output, postrouting ─▶ egress port
 *     out     ingress port ─▶ bridge prerouting, input ─▶ ingress bridge ─▶ (routed hooks) ─▶ egress uplink
 *     beside  ingress port ─▶ bridge prerouting, forward, postrouting ─▶ egress of some other port
 *
 * Before the routed hooks a packet is as it was sent, behind them as it leaves; what conntrack knows of it is not known
 * there. Source: net/bridge/br_input.c, br_forward.c; net/core/dev.c (nf_ingress, nf_hook_egress).
 */

import type { Journey, Peer } from './journey.ts'
import type { Interface, Seen } from './packet.ts'
import type { BaseChain, Hook, LinkHook } from './rule.ts'

/** Where a container hangs on the host. */
export interface Hanging {
  bridge: Interface
  /** Absent: one of the bridge's, not known which. */
  port?: Interface
  /** MAC addresses of the container and of the bridge, where they are known. */
  mac?: string
  bridgeMac?: string
}

/** One hook, and how the packet differs there from what the routed hooks see. */
interface Stage {
  hook: LinkHook
  seen: Partial<Seen>
}

/** To a container. */
export const framesIn = (journey: Journey, peer: Peer, hanging: Hanging): Journey =>
  beneath(journey, [arriving(peer)], intoBridge(hanging))

/** To a process of this host. */
export const framesHere = (journey: Journey, peer: Peer): Journey => beneath(journey, [arriving(peer)], [])

/** From a container to the world. @param as the packet once it is translated */
export const framesOut = (journey: Journey, peer: Peer, hanging: Hanging, as: Partial<Seen>): Journey =>
  beneath(journey, fromPort(hanging, 'input'), [leaving(peer, as)])

/** From a container to its neighbours. */
export function framesBeside(journey: Journey, hanging: Hanging): Journey {
  const { bridge } = hanging
  const output = { not: hanging.port === undefined ? [] : [hanging.port] }
  return beneath(journey, fromPort(hanging, 'forward', { output }), [
    { hook: 'bridge postrouting', seen: { bridge, output } },
  ])
}

const arriving = ({ by }: Peer): Stage | undefined =>
  'not' in by ? undefined : { hook: `ingress ${by.name}`, seen: { input: by } }

const leaving = ({ by }: Peer, as: Partial<Seen>): Stage | undefined =>
  'not' in by ? undefined : { hook: `egress ${by.name}`, seen: { ...as, output: by } }

function intoBridge({ bridge, port, mac, bridgeMac }: Hanging): Stage[] {
  const macs = { isEthernet: true as const, ...(bridgeMac && { from: bridgeMac }), ...(mac && { to: mac }) }
  const output = port ?? { not: [] }
  return [
    { hook: `egress ${bridge.name}`, seen: { ...macs, output: bridge } },
    { hook: 'bridge output', seen: { ...macs, bridge, output } },
    { hook: 'bridge postrouting', seen: { ...macs, bridge, output } },
    ...(port === undefined ? [] : [{ hook: `egress ${port.name}` as const, seen: { ...macs, output } }]),
  ]
}

function fromPort(
  { bridge, port, mac, bridgeMac }: Hanging,
  to: 'input' | 'forward',
  more: Partial<Seen> = {},
): Stage[] {
  const macs = {
    isEthernet: true as const,
    ...(mac && { from: mac }),
    ...(to === 'input' && bridgeMac && { to: bridgeMac }),
  }
  const input = port ?? { not: [] }
  return [
    ...(port === undefined ? [] : [{ hook: `ingress ${port.name}` as const, seen: { ...macs, input } }]),
    { hook: 'bridge prerouting', seen: { ...macs, bridge, input } },
    { hook: `bridge ${to}`, seen: { ...macs, bridge, input, ...more } },
    ...(to === 'input'
      ? [{ hook: `ingress ${bridge.name}` as const, seen: { ...macs, input: bridge } }]
      : []),
  ]
}

/** Before and behind all that the routed hooks hold. */
const BEFORE = -100_000
const BEHIND = 100_000

function beneath(
  { what, family, at }: Journey,
  before: readonly (Stage | undefined)[],
  behind: readonly (Stage | undefined)[],
): Journey {
  const stages = new Map<Hook, { seen: Partial<Seen>; as: Pick<BaseChain, 'hook' | 'priority'> }>()
  for (const each of before)
    if (each) stages.set(each.hook, { ...each, as: { hook: 'prerouting', priority: BEFORE } })
  for (const each of behind)
    if (each) stages.set(each.hook, { ...each, as: { hook: 'postrouting', priority: BEHIND } })
  return {
    what,
    family,
    hooks: [...stages.keys()],
    at(chain) {
      const stage = stages.get(chain.hook)
      const { connection: _, input: __, output: ___, ...seen } = at({ ...chain, ...stage?.as })
      return { ...seen, ...stage?.seen }
    },
  }
}
