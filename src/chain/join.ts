/**
 * A container that exists joins a network.
 *
 * What is written down decides (known.ts): an interface of the network that is in its namespace means that it
 * has joined already, whoever put it there and by whatever id; one under its id that is nowhere, that it was
 * started anew since, and what was before is taken down first.
 */

import { checkContainerId, checkNetworkName } from '../cni/config/names.ts'
import { isHostName } from '../model/address/host-name.ts'
import { TsnetError } from '../model/errors.ts'
import { parseInterfaceName } from '../model/interface-name.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { type ListCall, writeCached } from '../networks/cache.ts'
import { freeName, identityAt, interfacesOf } from '../networks/inside.ts'
import { isThere, type Known, listKnown, livesElsewhere } from '../networks/known.ts'
import type { Host } from '../networks/places.ts'
import type { RawResult } from '../networks/result.ts'
import type { NetworkList } from '../runtime/conflist.ts'
import { callsToLeave, leaveAs, leaveKnown } from './leave.ts'
import { addList, callsOf } from './run-list.ts'

export interface JoinRequest {
  containerId: string
  /** As people call it, and others on the network shall. */
  name?: string
  /** Path of its namespace. */
  netns: string
  /** Absent: the first that is free. */
  ifname?: string
  ports?: readonly PortMapping[]
  /** Those that it shall have; of families for which there is none, any. */
  ips?: readonly string[]
  /** Of its interface; absent: any. */
  mac?: string
  /** More names for others on the network to call it by. */
  aliases?: readonly string[]
  /** Whom it may reach, as `egress.allow` has it; absent: as its network says. */
  allow?: readonly string[]
  /** Whoever is known by this id is taken off the network first, wherever it lives: its runtime says that it is no more. */
  isAnew?: boolean
}

export interface Joined {
  network: string
  containerId: string
  ifname: string
  result: RawResult
}

/** What joining takes: who is taken down before, of an earlier container of that id, and the call of the list. */
interface JoinPlan {
  gone: Known[]
  call: ListCall
}

/** @throws TsnetError; nothing is then left of it */
export async function join(list: NetworkList, request: JoinRequest, host: Host): Promise<Joined> {
  const { gone, call } = planJoin(list, request, host)
  const { containerId, ifname } = call
  const network = list.name
  for (const each of gone) await leaveKnown(each, host)
  const result = await addList(list, call, host)
  try {
    writeCached(host.cache, { network, ...call, list: list.text, result })
  } catch (thrown) {
    await leaveAs({ network, ...call, list: list.text, result }, host)
    throw thrown
  }
  return { network, containerId, ifname, result }
}

/** What join would call. @throws TsnetError as join, as far as it is known before */
export function callsToJoin(list: NetworkList, request: JoinRequest, host: Host): string[] {
  const { gone, call } = planJoin(list, request, host)
  return [...gone.flatMap(each => callsToLeave(each, host)), ...callsOf('ADD', list, call, host)]
}

function planJoin(list: NetworkList, request: JoinRequest, host: Host): JoinPlan {
  const containerId = checkContainerId(request.containerId)
  const network = checkNetworkName(list.name)
  const taken = interfacesOf(request.netns)
  const home = identityAt(request.netns)
  const wanted = request.ifname && parseInterfaceName(request.ifname, '--ifname', 'invalid-environment')
  const offer = offerOf(list, request)

  const known = listKnown(host).filter(each => each.network === network)
  const sameId = known.filter(each => each.containerId === containerId)
  const over = request.isAnew ? sameId : []
  const another = sameId.find(each => !over.includes(each) && livesElsewhere(each, home))
  if (another !== undefined) {
    throw new TsnetError(
      'conflict',
      `another container is on network ${network} as ${containerId}, in ${another.netns}; detach that one first`,
    )
  }
  const here = known.filter(
    each =>
      !over.includes(each) &&
      (isThere(each, home, taken) || (sameId.includes(each) && taken.has(each.ifname))),
  )
  const blocking = here.find(each => wanted === undefined || wanted === each.ifname)
  if (blocking !== undefined) {
    throw new TsnetError(
      'conflict',
      `${request.name ?? containerId} is on network ${network} already, as ${blocking.ifname}; detach it first, or choose another name with --ifname`,
    )
  }
  if (wanted !== undefined && taken.has(wanted) && !over.some(({ ifname }) => ifname === wanted)) {
    throw new TsnetError(
      'conflict',
      `${request.name ?? containerId} has an interface ${wanted} already; choose another name with --ifname`,
    )
  }
  const ifname = wanted ?? freeName(taken)
  return {
    gone: sameId.filter(each => !here.includes(each)),
    call: { containerId, netns: request.netns, ifname, ...offer },
  }
}

/** What the plugins are told beside the call. @throws TsnetError for what no plugin of the list can do */
function offerOf(list: NetworkList, request: JoinRequest): Pick<ListCall, 'args' | 'capabilities'> {
  const { name, mac, ips = [], ports = [], aliases = [], allow } = request
  const can = (capability: string) => list.plugins.some(each => each.capabilities.includes(capability))
  const need = (capability: string, isAsked: boolean, what: string) => {
    if (!isAsked || can(capability)) return
    throw new TsnetError(
      'invalid-environment',
      `network ${list.name} ${what}: none of its plugins declares the capability ${capability}`,
    )
  }
  need('portMappings', ports.length > 0, 'publishes no ports')
  need('aliases', aliases.length > 0, 'takes no aliases')
  need('mac', mac !== undefined, 'gives no MAC address that is asked for')
  need('egress', allow !== undefined, 'takes no list of whom one container may reach')
  // One is asked for in CNI_ARGS as well.
  need('ips', ips.length > 1, 'takes no list of addresses')
  const args: [string, string][] = [
    ...(name !== undefined && isHostName(name) ? ([['K8S_POD_NAME', name]] as [string, string][]) : []),
    ...(can('ips') ? [] : ips.map((ip): [string, string] => ['IP', ip])),
  ]
  return {
    // Keys that only some plugins know; as runtimes send them.
    args: args.length === 0 ? [] : [['IgnoreUnknown', '1'], ...args],
    capabilities: {
      ...(ports.length > 0 && { portMappings: ports.flatMap(mappingsOf) }),
      ...(ips.length > 0 && can('ips') && { ips }),
      ...(mac !== undefined && { mac }),
      ...(aliases.length > 0 && { aliases }),
      ...(allow !== undefined && { egress: allow }),
    },
  }
}

/** One entry a port, as the CNI conventions have them. */
const mappingsOf = ({ hostPort, containerPort, count, protocol, hostIp }: PortMapping): object[] =>
  Array.from({ length: count }, (_, i) => ({
    hostPort: hostPort + i,
    containerPort: containerPort + i,
    protocol,
    ...(hostIp !== undefined && { hostIP: hostIp }),
  }))
