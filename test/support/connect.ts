/** Connects containers of a lab as a host would do it itself. */

import type { Host, Place } from 'tsnet/lab'
import {
  type ConnectContext,
  type Connection,
  connect,
  disconnect,
  releaseBridge,
} from '../../src/bridge/bridge.ts'
import type { BridgeLoan } from '../../src/bridge/ensure.ts'
import { type LinkPlan, type LinkRequest, type MacSource, planLink } from '../../src/bridge/plan/plan.ts'
import { Undo } from '../../src/model/undo.ts'

export interface Connected extends Connection {
  plan: LinkPlan
  owner: string
}

/** Starts something in the host's namespace that opens its sockets at once and waits only afterwards. */
function begin<T>(host: Host, work: () => Promise<T>): Promise<T> {
  let promise: Promise<T> | undefined
  host.inside(() => {
    promise = work()
  })
  return promise ?? Promise.reject(new Error('nothing was begun'))
}

export async function connectOn(
  host: Host,
  container: Place,
  request: LinkRequest,
  context: ConnectContext & { macs?: MacSource } = {},
): Promise<Connected> {
  const { macs, ...rest } = context
  const plan = planLink(request, macs)
  const connection = await begin(host, () => connect(plan, container.netns, new Undo(), rest))
  return { ...connection, plan, owner: request.owner }
}

export const disconnectOn = (host: Host, owner: string): Promise<void> =>
  begin(host, () => disconnect({ owner }))

/** The last container leaves, and the bridge with it. */
export const disconnectLastOn = (
  host: Host,
  owner: string,
  lastOn: { bridge: string; loan?: BridgeLoan | undefined },
): Promise<void> => begin(host, () => disconnect({ owner, lastOn }))

export const releaseOn = (host: Host, name: string, loan?: BridgeLoan): Promise<boolean> =>
  begin(host, () => releaseBridge(name, loan))

/**
 * Shell commands for a bridge of the administrator's, with settings of its own and a port that gives it
 * carrier, whose MAC begins as those of containers' ports do: one random MAC in 64 is like that.
 */
export const FOREIGN_BRIDGE = [
  'ip link add cni0 address 02:00:00:00:00:99 type bridge ageing_time 12300 mcast_snooping 0',
  'ip link add port0 address fe:00:00:00:00:01 master cni0 type veth peer name port1',
  'for link in cni0 port0 port1; do ip link set $link addrgenmode none; ip link set $link up; done',
  // The kernel notices the carrier some time later, and adds this route then.
  'for link in cni0 port0 port1; do',
  '  until ip -6 route show table local dev $link | grep -q ff00::/8; do sleep 0.01; done',
  'done',
].join('\n')
