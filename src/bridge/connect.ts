/**
 * Carries out a plan, one step after the other.
 */

import { TsnetError } from '../model/errors.ts'
import type { Interface } from '../model/network.ts'
import { type Undo, withUndo } from '../model/undo.ts'
import { command } from '../netlink/command.ts'
import { getLink, type Link } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { currentNetns, inside, type Netns, sameNamespace } from '../netns/netns.ts'
import { announce, waitForPort } from './announce.ts'
import { configure, waitForAddresses } from './container.ts'
import { disconnect } from './disconnect.ts'
import { abandonBridge, type BridgeLoan, ensureBridge } from './ensure.ts'
import type { LinkPlan } from './plan/plan.ts'
import type { Side } from './side.ts'
import { bringUp, makeVeth } from './veth.ts'

export interface ConnectContext {
  /** Hears the command that would do the same as each change. */
  trace?: (equivalent: string) => void
  /** Accept a container in our own network namespace. */
  allowOwnNetns?: boolean
  /**
   * Hears, before it happens, what is about to be changed on a bridge that is not ours. To be remembered
   * (together with earlier loans of the same bridge) and handed to releaseBridge.
   */
  onLoan?: (loan: BridgeLoan) => void
  /** Guards the host's end of the pair, before it is up: no frame comes before. */
  guard?: (hostInterface: string) => Promise<void>
}

/** The two ends of the pair, and the bridge. */
export interface Connection {
  bridge: Interface
  hostInterface: Interface
  containerInterface: Interface
  /** What has the gateways, when that is not the bridge: an interface in one of its VLANs. */
  gatewayInterface?: Interface
}

/**
 * Connects a container to its bridge. The caller holds a lock on the bridge's name.
 * @param undo gets the step that takes the link away again; the bridge itself is the caller's to release
 * @throws TsnetError or NetlinkError; everything is then as it was before
 */
export async function connect(
  plan: LinkPlan,
  netns: Netns,
  undo: Undo,
  context: ConnectContext = {},
): Promise<Connection> {
  const connection = await make(plan, netns, context)
  undo.push(`interface ${connection.hostInterface.name}`, () => disconnect({ owner: plan.owner }))
  return connection
}

async function make(plan: LinkPlan, netns: Netns, context: ConnectContext): Promise<Connection> {
  const { trace = () => {}, allowOwnNetns = false } = context
  using home = currentNetns()
  if (sameNamespace(home.id, netns.id) && !allowOwnNetns) {
    throw new TsnetError(
      'invalid-netns',
      `${netns.path} is the network namespace of this host, not a container's`,
    )
  }
  const enter = command('nsenter', `--net=${netns.path}`)
  const traceInside = (equivalent: string): void => trace(`${enter} ${equivalent}`)
  using hostNl = openNetlink(trace)
  using containerNl = inside(netns, () => openNetlink(traceInside))
  // Awaited here: the sockets stay open until all is done, or taken back.
  return await withUndo(undo => {
    const host = { nl: hostNl, netns: home, undo, trace }
    const container = { nl: containerNl, netns, undo, trace: traceInside }
    return build(plan, host, container, context)
  })
}

/**
 * As connect, where the container has no namespace yet: its end stays among the host's links, down and without addresses,
 * under the name of the plan, and whoever asked for it takes it away. The caller holds a lock on the bridge's name.
 * @param undo gets the step that takes the link away again
 * @throws TsnetError or NetlinkError; everything is then as it was before
 */
export async function offer(plan: LinkPlan, undo: Undo, context: ConnectContext = {}): Promise<Connection> {
  const connection = await makeHostSide(plan, context)
  undo.push(`interface ${connection.hostInterface.name}`, () => disconnect({ owner: plan.owner }))
  return connection
}

async function makeHostSide(plan: LinkPlan, context: ConnectContext): Promise<Connection> {
  const { trace = () => {} } = context
  using home = currentNetns()
  using nl = openNetlink(trace)
  return await withUndo(async undo => {
    const host = { nl, netns: home, undo, trace }
    return connectionOf(host, plan, await buildHostSide(plan, host, home.fd, context))
  })
}

/**
 * Takes back what a failed attempt may have left of a plan whose bridge is nobody's: its link, and the
 * bridge if that attempt made it and nobody else is on it. The caller holds a lock on the bridge's name.
 */
export async function retract(plan: LinkPlan): Promise<void> {
  await disconnect({ owner: plan.owner })
  using nl = openNetlink()
  abandonBridge(nl, plan.bridge)
}

async function build(
  plan: LinkPlan,
  host: Side,
  container: Side,
  context: ConnectContext,
): Promise<Connection> {
  const made = await buildHostSide(plan, host, container.netns.fd, context)
  const { port } = made
  const link = { index: port.peerIndex ?? 0, name: plan.container.name }
  configure(container, link, plan.container)
  if (plan.container.up) {
    await waitForPort(host.nl, port)
    await waitForAddresses(container, link, plan.container)
    announce(container, link, plan.container)
  }
  return connectionOf(host, plan, made)
}

type HostEnd = ReturnType<typeof ensureBridge> & { port: Link }

/** The bridge, and the pair with its end on it. @param netnsFd where the other one appears */
async function buildHostSide(
  plan: LinkPlan,
  host: Side,
  netnsFd: number,
  { onLoan, guard }: ConnectContext,
): Promise<HostEnd> {
  const ensured = ensureBridge(host, plan.bridge, onLoan)
  const port = makeVeth(host, plan, ensured.bridge, netnsFd)
  await guard?.(port.name)
  bringUp(host, plan, ensured.bridge, port)
  return { ...ensured, port }
}

function connectionOf({ nl }: Side, plan: LinkPlan, { bridge, ours, gateway, port }: HostEnd): Connection {
  // Ours has a MAC of its own, and the MTU of a bridge is the least of its ports', unless somebody chose one. One
  // that is not ours may take the MAC of a port.
  const { mac, mtu } = ours && port.mtu === bridge.mtu ? bridge : getLink(nl, bridge)
  return {
    bridge: { name: bridge.name, mac, mtu },
    hostInterface: { name: port.name, mac: port.mac, mtu: port.mtu },
    containerInterface: { name: plan.container.name, mac: plan.container.mac, mtu: port.mtu },
    ...(gateway && { gatewayInterface: { name: gateway.name, mac: gateway.mac, mtu: gateway.mtu } }),
  }
}
