/**
 * The things tsnet is about, as plain values.
 *
 * A *network* is a bridge with a pool of addresses and rules about who may reach whom. An *attachment* is
 * one interface of one container on one network; everything that tsnet does for a container hangs on it,
 * under the key (network, container, interface). A *lease* is an address that an attachment holds, a
 * *port mapping* a port of the host that leads to a port of the container.
 *
 *     Network + AttachRequest ──attach──▶ Attachment ──detach──▶ nothing left
 *
 * These values go down through the layers and come back; none of them holds a socket, a descriptor or a
 * rule handle, and all of them survive `JSON.parse(JSON.stringify(value))`. What a front door hands in has
 * been checked there: names match their patterns, addresses and numbers are in range.
 */

import type { Cidr, Ip } from './address/address.ts'
import type { AskedReach, Reach } from './address/reach.ts'
import type { EgressOptions, HostsOptions } from './hosts/hosts.ts'
import type { PortMapping } from './port-mapping.ts'
import { shortName } from './publication/container-name.ts'
import { sha256 } from './sha256.ts'

/** What an attachment is known by, in every file, rule and lock. */
export interface AttachmentKey {
  network: string
  containerId: string
  ifname: string
}

/** Where host-local keeps leases unless it is told otherwise; a folder for each network. */
export const LEASES_FOLDER = '/var/lib/cni/networks'

/** What tells an attachment from the others of its network. */
export const nameInNetwork = ({ containerId, ifname }: Omit<AttachmentKey, 'network'>): string =>
  `${containerId}/${ifname}`

/**
 * The key as 16 hex digits: the only form in which names from outside reach rules and file names.
 * It is short enough for an iptables chain name (28 bytes) behind a prefix.
 */
export function ownerTag(key: AttachmentKey): string {
  return sha256(`${key.network}\0${key.containerId}\0${key.ifname}`).slice(0, 16)
}

/** A container as its runtime calls it, or else by its id. */
export const nameOfAttached = ({ aliases, containerId }: Named): string =>
  aliases?.at(-1) ?? shortName(containerId)

type Named = Pick<AttachmentKey, 'containerId'> & Partial<Pick<Undertaking, 'aliases'>>

/** Part of a pool, as host-local's `ranges` describe it; what is absent has host-local's default. */
export interface AddressRange {
  subnet: Cidr
  rangeStart?: Ip
  rangeEnd?: Ip
  gateway?: Ip
}

/** A route of the container, with the keys of CNI 1.1.0. */
export interface Route {
  dst: Cidr
  gw?: Ip
  mtu?: number
  advmss?: number
  /** The metric; lower wins. */
  priority?: number
  table?: number
  /** 0 global, 253 link, 254 host. */
  scope?: number
}

export interface Dns {
  nameservers: string[]
  domain?: string
  search: string[]
  options: string[]
}

/** A bridge and how ports hang on it. The names are the reference plugin's. */
export interface BridgeOptions {
  name: string
  /** Absent: the uplink's, so that packets fit through a VPN or a cloud's tunnel. */
  mtu?: number
  isGateway: boolean
  isDefaultGateway: boolean
  forceAddress: boolean
  hairpinMode: boolean
  promiscMode: boolean
  macspoofchk: boolean
  portIsolation: boolean
  enabledad: boolean
  disableContainerInterface: boolean
  /** Native VLAN of the port, 1–4094. */
  vlan?: number
  /** Tagged VLANs of the port, both ends included. */
  vlanTrunk: { minID: number; maxID: number }[]
  preserveDefaultVlan: boolean
  /** An interface of the host that is a port of the bridge while a container is; of networks of layer 2 alone. */
  uplink?: string
}

/** Where addresses come from. */
export type IpamOptions =
  /** Layer 2 only. */
  | { kind: 'none' }
  /** Ours, on host-local's files. One address is taken from each set. */
  | { kind: 'host-local'; ranges: AddressRange[][]; dataDir: string; routes: Route[]; resolvConf?: string }
  /** Another IPAM plugin, run as the CNI spec says. */
  | { kind: 'delegated'; delegation: Delegation }

/** All that is needed to run a delegated IPAM plugin, now or when the container goes. */
export interface Delegation {
  /** The plugin's file name. */
  plugin: string
  /** CNI_PATH. */
  path: string[]
  /** CNI_ARGS as it came. */
  args: string
  /** The network configuration as it came, JSON. */
  config: Record<string, unknown>
}

/** The names of a network's containers are told to them by its gateway. */
export interface NamesOptions {
  /** Names below it are ours to know. */
  domain: string
  /** Ask others about all other names; absent: where the network has a way out. */
  forward?: boolean
}

export type NatBackend = 'iptables' | 'nftables'

export interface Network {
  name: string
  bridge: BridgeOptions
  ipam: IpamOptions
  /** Packets that leave the network get the host's address. */
  ipMasq: boolean
  /** Others than the host may reach the containers' own addresses, published or not. */
  allowDirectRouting: boolean
  /** Absent: iptables where there is an `iptables` command, else nftables. */
  natBackend?: NatBackend
  /** Overrules the DNS settings that the IPAM gives. */
  dns?: Dns
  /** Absent: nobody tells names. */
  names?: NamesOptions
  /** The network is one of many hosts: its addresses come from this host's own prefix. */
  hosts?: HostsOptions
  /** Absent: each container leaves by its own host, under the address of the way out. */
  egress?: EgressOptions
  /** Absent: containers reach whom they find. */
  reach?: AskedReach
  /** As the reference's bridge plugin makes it: the names are that plugin's, and bridge and forwarding stay. */
  dropIn?: true
}

/** Limits in bits per second and bits; ingress is towards the container. 0: no limit. */
export interface Bandwidth {
  ingressRate: number
  ingressBurst: number
  egressRate: number
  egressBurst: number
}

/** What a front door asks for. */
export interface AttachRequest {
  network: Network
  containerId: string
  ifname: string
  /** Path of the container's network namespace, as the caller gave it. */
  netns: string
  mac?: string
  /** Addresses asked for by whichever way the spec names; each must come from the pool. */
  requestedIps: Ip[]
  ports: PortMapping[]
  bandwidth?: Bandwidth
  /** In place of its network's. */
  reach?: AskedReach
  /** Names the container is known by: aliases first, then what the runtime calls it. */
  aliases: string[]
}

/** An interface as CNI results list them. */
export interface Interface {
  name: string
  /** Six octets, lower case, with colons. */
  mac: string
  mtu: number
}

/** An address that an attachment holds. */
export interface Lease {
  /** With the prefix length of its subnet. */
  address: Cidr
  gateway?: Ip
}

/**
 * The identity of a namespace: paths and pids are reused; device and inode are not while anyone holds it, and are
 * given to the next one as soon as it is gone.
 */
export interface NamespaceId {
  dev: number
  ino: number
  /** SO_NETNS_COOKIE in decimal, which no two namespaces of one boot have; absent where nobody asked, or before Linux 5.14. */
  cookie?: string
}

/** What packets an attachment needs changed, let through and kept out. */
export interface NatIntent {
  /** ownerTag of the attachment. */
  owner: string
  bridge: string
  /** The container's addresses with the prefix length of their subnets, both families. */
  addresses: Cidr[]
  ipMasq: boolean
  /** Drop what others send straight to the container's addresses. */
  guardDirect: boolean
  ports: PortMapping[]
  /** Of `ports`, those that lead here now, where others of the same container have the rest; absent: all. */
  held?: PortMapping[]
  /** Of the same container on other networks: what it sends from there to its own ports comes back to us. */
  otherAddresses?: Ip[]
  /** Where it asks for names: addresses of the bridge whose port 53 is to be reached from there. */
  resolvers?: Ip[]
  /** Interfaces of the host other than the bridge at which its answers may arrive. */
  answersBy?: string[]
  /** Subnets of a network of many hosts: who is in them is no stranger. */
  peers?: Cidr[]
  /** Addresses of this host that are given to what leaves the network, one of a family; absent: those of the way out. */
  leaveAs?: Ip[]
  /** What leaves the network does so by another host: answers come to the container's own addresses. */
  leavesElsewhere?: true
  /** What comes from the bridge is not led to the container: a proxy that listens on the ports serves it. */
  bridgeServed?: true
  /**
   * Absent: all that an attachment needs. `guest`: the addresses are somebody else's container's; it may be
   * reached through ports that are published, and no further. `ports`: the ports alone, to addresses that
   * an intent of a guest speaks of. `transit`: the addresses are the subnets of a network of many hosts, what leaves it
   * comes from the other hosts by `bridge`, and is marked.
   */
  part?: 'guest' | 'ports' | 'transit'
}

/** How an attachment came to be whose container had no namespace yet. Until it is seen in one, that of its record is nowhere. */
export interface HandedOver {
  /** The container's end, as it is called among the host's links. */
  link: string
  /** Who asked for it and is to take it, see netns/processes.ts. */
  by: string
  /** ISO 8601: since when it waits. */
  since: string
}

/** Where no namespace is. */
export const NOWHERE = { path: '', dev: 0, ino: 0 } as const

/**
 * An attachment that is being made, or was being made when its maker died: all that is needed to take it
 * down. `leases` and `nat` fill as it proceeds.
 */
export interface Undertaking extends AttachmentKey {
  netns: { path: string } & NamespaceId
  /** The kernel's boot_id when it was made: after a reboot nothing of it is left but leases. */
  bootId: string
  /** ISO 8601. */
  createdAt: string
  bridgeName: string
  ipam: IpamOptions
  leases: Lease[]
  /** Absent where no rule was needed. */
  nat?: { backend: NatBackend; intent: NatIntent }
  /** Which rule of others drops what is published, or what the container sends; a sentence. */
  natObstacle?: string
  ports: PortMapping[]
  /** The runtime listens on them itself, once the network is there; so nobody may do so before. */
  portsReserved?: true
  /** Absent: nobody tells its network's names. */
  names?: AttachedNames
  macspoofchk: boolean
  /** The interface of the host whose reverse path filtering was made loose for it. */
  returnPath?: string
  bandwidth?: Bandwidth
  /** What its own list, or its network's, lets it reach. */
  reach?: Reach
  aliases: string[]
  /** The process on whose behalf a daemon makes it, see netns/processes.ts. */
  caller?: string
  /** Its runtime takes the container's end where it belongs, at a moment of its own. */
  handedOver?: HandedOver
  /** Made as the reference's bridge plugin makes it; `masquerade` where it is masqueraded. */
  dropIn?: { masquerade?: NatBackend }
}

/** How a container is told names, by the gateways of its leases. */
export interface AttachedNames {
  domain: string
  /** Whether others are asked about names that are not ours; whom, where not those that the host asks. */
  forward: boolean
  servers: Ip[]
}

/** What stands for a container on a network; the record from which it can be taken down alone. */
export interface Attachment extends Undertaking {
  bridge: Interface
  hostInterface: Interface
  containerInterface: Interface
  /** What has the gateways, when that is not the bridge: an interface in one of its VLANs. */
  gatewayInterface?: Interface
  routes: Route[]
  dns?: Dns
  /** Of its network's bridge, as they were when it was made; absent in records of earlier versions. */
  bridgeOptions?: BridgeOptions
  /** The ifb device that shapes what the container sends. */
  ifb?: Interface
}
