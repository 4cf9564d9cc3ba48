/** Endpoints: attachments whose container dockerd puts on the network itself. */

import { bytesOf, contains, familyOf, type Ip, ipOf, lengthOf } from '../model/address/address.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import type { Json } from '../model/json/json.ts'
import { readIpOrCidr, readMac } from '../model/json/values.ts'
import { type Attachment, type AttachmentKey, type Network, ownerTag } from '../model/network.ts'
import { present } from '../model/present.ts'
import { expect, letGo, offer } from '../network/handed-over/handed-over.ts'
import { detach } from '../network/network.ts'
import { findNetworkList, requestOn } from '../networks/networks.ts'
import { listed } from '../networks/wish/options.ts'
import { readAllowed } from '../networks/wish/wish.ts'
import { listEntries } from '../records/records.ts'
import { findKnown, getKnown, readId } from './known.ts'
import type { Asker } from './world.ts'

/** In the key of every endpoint's attachment; what it is called in the container is the container's. */
const IFNAME = 'eth0'
/** dockerd puts a number behind it. */
const PREFIX = 'eth'

/** @throws TsnetError where there is no such network */
export const keyOf = (asked: Json): AttachmentKey => ({
  network: getKnown(readId(asked, 'NetworkID')).network,
  containerId: readId(asked, 'EndpointID'),
  ifname: IFNAME,
})

/** Of one that is to go: its network may be forgotten, and the record tells it. */
function keyOfGoing(asked: Json): AttachmentKey | undefined {
  const containerId = readId(asked, 'EndpointID')
  const known = findKnown(readId(asked, 'NetworkID'))
  if (known !== undefined) return { network: known.network, containerId, ifname: IFNAME }
  const entry = listEntries().find(
    each => isEndpoint(each.entry.attachment) && each.entry.attachment.containerId === containerId,
  )
  return entry?.entry.attachment
}

const isEndpoint = ({ handedOver }: Pick<Attachment, 'handedOver'>): boolean => handedOver !== undefined

/** As ip(8) would show it before it is taken. 40 bits of the owner tag. */
const linkName = (key: AttachmentKey): string => `tsd${ownerTag(key).slice(0, 10)}`

/** What one container is told of (`--network name=front,driver-opt=tsnet.egress=…`): whom it may reach, as `-o` of its network. */
const EGRESS = 'tsnet.egress'
const OURS = 'tsnet.'

/** @throws TsnetError naming an option of ours that there is not */
function readList(options: Json): string[] | undefined {
  const other = Object.keys(options.object()).find(key => key.startsWith(OURS) && key !== EGRESS)
  if (other !== undefined) options.exactly(other).refuse(`is no option of a container; there is ${EGRESS}`)
  const text = options.exactly(EGRESS).text()
  return text === undefined ? undefined : readAllowed(listed(text), EGRESS)
}

/** What is not given is answered. @throws TsnetError */
export async function createEndpoint(asked: Json, { host, by }: Asker): Promise<object> {
  const key = keyOf(asked)
  const known = asked.get('Interface')
  const given = [readIpOrCidr(known.get('Address')), readIpOrCidr(known.get('AddressIPv6'))].filter(
    ip => ip !== undefined,
  )
  const mac = readMac(known.get('MacAddress'))
  const list = findNetworkList(key.network, host.confDir)
  const wanted = present({ mac: mac ?? macFor(given), egress: readList(asked.get('Options')) })
  const request = requestOn(list, { ...key, ...wanted, ips: given }, host)
  for (const ip of given) await takeDownHolder(key, ip)
  const { netns: _, ports: __, ...rest } = request
  const network = given.length > 0 ? widened(request.network, given) : request.network
  const attachment = await offer({ ...rest, network, link: linkName(key), by }, { confDir: host.confDir })
  return { Interface: answered(attachment, given, mac) }
}

/** As Docker's own networks have it: who gets an address after another has its MAC, too, and neighbours need not learn it. */
function macFor(given: readonly Ip[]): string | undefined {
  const ip = given.find(each => familyOf(each) === 4)
  return (
    ip && ['02', '42', ...Array.from(bytesOf(ip), octet => octet.toString(16).padStart(2, '0'))].join(':')
  )
}

/** Docker says which endpoint has an address: one that has it by our records is of a container that is no more. */
async function takeDownHolder({ network, containerId }: AttachmentKey, ip: Ip): Promise<void> {
  const holders = listEntries()
    .map(({ entry: { attachment } }) => attachment)
    .filter(each => each.network === network && isEndpoint(each) && each.containerId !== containerId)
    .filter(({ leases }) => leases.some(({ address }) => ipOf(address) === ip))
  for (const holder of holders) await detach(holder)
}

/** Docker gives addresses out of a part that it does not tell: its own may be any of the subnet. */
function widened(network: Network, given: readonly Ip[]): Network {
  const { ipam, hosts } = network
  if (ipam.kind !== 'host-local' || hosts !== undefined) return network
  const ranges = ipam.ranges.flat()
  const sets = given.map(ip => {
    const range = ranges.find(({ subnet }) => contains(subnet, ip))
    if (range === undefined)
      throw new TsnetError('invalid-environment', `address ${ip} is in no subnet of network ${network.name}`)
    return [present({ subnet: range.subnet, gateway: range.gateway })]
  })
  return { ...network, ipam: { ...ipam, ranges: sets } }
}

/** dockerd refuses to be told what it said. */
function answered(
  { leases, containerInterface }: Attachment,
  given: readonly Ip[],
  mac: string | undefined,
): object {
  const chosen = (family: 4 | 6) =>
    leases.find(({ address }) => familyOf(address) === family && !given.includes(ipOf(address)))?.address
  return present({
    Address: chosen(4),
    AddressIPv6: chosen(6),
    MacAddress: mac === undefined ? containerInterface.mac : undefined,
  })
}

/** NEXTHOP and CONNECTED of libnetwork/types. */
const ROUTE = { byGateway: 0, connected: 1 }

/** What dockerd is to do in the container. @throws TsnetError where there is no such endpoint */
export async function joinEndpoint(asked: Json): Promise<object> {
  const sandbox = asked.get('SandboxKey')
  const path = sandbox.text() ?? sandbox.refuse('is missing')
  if (!/^\/[\w./-]+$/.test(path)) sandbox.refuse('is no path of a namespace')
  const attachment = await expect(keyOf(asked), path)
  const { leases, handedOver, routes, bridgeOptions } = attachment
  const gatewayOf = (family: 4 | 6) => leases.find(({ address }) => familyOf(address) === family)?.gateway
  const isWayOut = bridgeOptions?.isDefaultGateway === true
  const others = routes.filter(({ dst }) => lengthOf(dst) > 0)
  return {
    InterfaceName: { SrcName: handedOver?.link, DstPrefix: PREFIX },
    ...(isWayOut && present({ Gateway: gatewayOf(4), GatewayIPv6: gatewayOf(6) })),
    StaticRoutes: others.map(({ dst, gw = gatewayOf(familyOf(dst)) }) => ({
      Destination: dst,
      RouteType: gw === undefined ? ROUTE.connected : ROUTE.byGateway,
      ...present({ NextHop: gw }),
    })),
    // Or dockerd gives the container a second interface for its way out.
    DisableGatewayService: true,
  }
}

/** Succeeds for one that nobody knows. */
export async function leaveEndpoint(asked: Json): Promise<object> {
  const key = keyOfGoing(asked)
  if (key === undefined) return {}
  try {
    await letGo(key)
  } catch (thrown) {
    if (!hasCode(thrown, 'conflict')) throw thrown
  }
  return {}
}

/** Succeeds for one that nobody knows. @throws what could not be taken down, after having tried all */
export async function deleteEndpoint(asked: Json): Promise<object> {
  const key = keyOfGoing(asked)
  if (key !== undefined) await detach(key)
  return {}
}
