/** What records have to look like: all that taking down and serving rely on (model/json/shape.ts). */

import { isCidr, isIp } from '../model/address/address.ts'
import { tryParseHostIp } from '../model/address/host.ts'
import {
  all,
  byKind,
  flag,
  listOf,
  number,
  object,
  oneOf,
  optional,
  parsed,
  record,
  type Shape,
  text,
  when,
  whole,
  within,
} from '../model/json/shape.ts'
import { type AttachmentKey, ownerTag } from '../model/network.ts'

const cidr = when(isCidr, 'an address with the length of its subnet')
const ip = when(isIp, 'an address')
const hostIp = parsed(tryParseHostIp, 'an address of the host')
const port = within(1, 65_535)
const protocol = oneOf('tcp', 'udp', 'sctp')
export const backend = oneOf('iptables', 'nftables')

const netns = record({ path: text, dev: whole, ino: whole, cookie: optional(text) })
const key = { network: text, containerId: text, ifname: text }
const made = { ...key, netns, bootId: text, createdAt: text }

const mappingMembers = {
  protocol,
  hostIp: optional(hostIp),
  hostPort: port,
  containerPort: port,
  count: port,
}
export const mapping = record(mappingMembers)

/** @param members more than a mapping has */
export const mappingWith = (members: Record<string, Shape>): Shape =>
  record({ ...mappingMembers, ...members })

const intent = record({
  owner: text,
  bridge: text,
  addresses: listOf(cidr),
  ipMasq: flag,
  guardDirect: flag,
  ports: listOf(mapping),
  held: optional(listOf(mapping)),
  otherAddresses: optional(listOf(ip)),
  resolvers: optional(listOf(ip)),
  answersBy: optional(listOf(text)),
  peers: optional(listOf(cidr)),
  leaveAs: optional(listOf(ip)),
  leavesElsewhere: optional(flag),
  part: optional(text),
})

const nat = record({ backend, intent })

/** What is let through for other hosts. */
export const transitShape = record({ network: text, backend, intent })

const link = record({ name: text, mac: text })

const ipam = byKind({
  none: object,
  'host-local': record({
    dataDir: text,
    ranges: listOf(listOf(record({ subnet: cidr }))),
    routes: listOf(object),
  }),
  delegated: record({ delegation: record({ plugin: text, path: listOf(text), args: text, config: object }) }),
})

const undertaking = record({
  ...made,
  bridgeName: text,
  ipam,
  leases: listOf(record({ address: cidr, gateway: optional(ip) })),
  nat: optional(nat),
  ports: listOf(mapping),
  names: optional(record({ domain: text, forward: flag, servers: listOf(ip) })),
  macspoofchk: flag,
  returnPath: optional(text),
  bandwidth: optional(object),
  reach: optional(
    record({ allow: listOf(record({ to: text, service: optional(object), network: optional(text) })) }),
  ),
  aliases: listOf(text),
  caller: optional(text),
  handedOver: optional(record({ link: text, by: text, since: text })),
  dropIn: optional(record({ masquerade: optional(backend) })),
})

const attachment = all(
  undertaking,
  record({
    bridge: link,
    hostInterface: link,
    containerInterface: link,
    routes: listOf(object),
    ifb: optional(link),
  }),
)

/** An entry of `attachments/`. Whose file it is says its name; one that was copied there speaks of somebody else. */
export const entryShape =
  (owner: string): Shape =>
  value => {
    const entry = value as { state?: unknown; attachment: AttachmentKey }
    const wrong = (entry?.state === 'attached' ? complete : begun)(value)
    if (wrong !== undefined) return wrong
    return ownerTag(entry.attachment) === owner ? undefined : '.attachment speaks of another attachment'
  }

const complete = record({ state: oneOf('attached'), attachment })
const begun = record({ state: oneOf('attaching', 'detaching'), attachment: undertaking })

const hostPort = record({ protocol, hostIp: optional(ip), hostPort: port, containerPort: port })
const either =
  (...shapes: Shape[]): Shape =>
  value => {
    const wrongs = shapes.map(shape => shape(value))
    return wrongs.includes(undefined) ? undefined : wrongs[0]
  }

/** What the plugins of a chain have done, by role. */
export const chainedShapes = {
  portmap: record({
    ...made,
    backend,
    intent: record({
      network: text,
      containerId: text,
      addresses: listOf(cidr),
      ports: listOf(hostPort),
      snat: flag,
      masqAll: flag,
      mark: either(record({ bit: whole }), record({ chain: text })),
      conditions: record({ '4': listOf(text), '6': listOf(text) }),
    }),
    bridgePort: optional(text),
    returnPath: optional(text),
  }),
  firewall: record({
    ...made,
    backend: oneOf('iptables', 'firewalld'),
    intent: record({
      addresses: listOf(cidr),
      adminChain: text,
      ingressPolicy: text,
      bridge: optional(text),
    }),
    zone: text,
  }),
}

const container = record({
  runtime: text,
  id: text,
  name: text,
  reference: text,
  pid: optional(whole),
  netns,
  addresses: listOf(cidr),
  bridge: optional(text),
  bridgePort: optional(text),
})

const service = record({
  name: text,
  network: optional(text),
  away: listOf(record({ name: text, host: text, network: text, addresses: listOf(ip) })),
  drained: whole,
})

/** What somebody asked for. */
const askedMembers = {
  id: text,
  protocol,
  hostIp: optional(hostIp),
  // Before it is chosen it is 0.
  hostPort: within(0, 65_535),
  count: port,
  target: either(record({ port }), record({ socket: text }), record({ reverse: port })),
  createdAt: text,
  mode: text,
  via: text,
  allow: listOf(cidr),
  deny: listOf(cidr),
  waitMs: number,
  drainMs: number,
  expiresAt: optional(number),
}

/** A publication, as it is written now or by builds for which the addresses of a container were one guest. */
export const publicationShape = record({
  ...askedMembers,
  containers: listOf(container),
  service: optional(service),
  beginning: optional(flag),
  drainsUntil: optional(number),
  nat: optional(
    either(
      record({ backend, ports: intent, guests: listOf(intent) }),
      record({ backend, ports: intent, guest: intent }),
    ),
  ),
})

/** A publication as it outlives a reboot: whom it leads to, and not where that is. */
export const lastingShape = record({
  ...askedMembers,
  containers: listOf(record({ runtime: text, id: text, name: text, reference: text, asked: optional(text) })),
  service: optional(service),
})

/** What was lent by a bridge that is not ours. */
export const loanShape = record({
  addresses: listOf(cidr),
  promiscuous: flag,
  settings: listOf(record({ name: text, value: text })),
  uplinks: optional(listOf(record({ name: text, wasUp: flag }))),
})

/** What was changed so that the host forwards. */
export const forwardingShape = listOf(
  record({
    backend,
    settings: listOf(record({ name: text, before: text, after: text })),
    guards: listOf(oneOf(4, 6)),
  }),
)
