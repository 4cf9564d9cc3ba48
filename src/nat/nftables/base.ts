/**
 * The nftables backend as text: one table `inet tsnet` whose rules never change.
 *
 * The rules look packets up in sets and maps; what they find decides (document.ts). So a port costs the
 * same to add, to remove and to match whether there are ten or ten thousand. Sets with intervals are
 * avoided, since nft reads them whole before it changes one element: whether an address is in a container's
 * subnet is a look-up of the container's address and the other's network, with one set for each prefix
 * length in use.
 *
 * `owners` is who uses the table. Its elements jump to a chain, and the kernel deletes no chain that is
 * jumped to: so the transaction that deletes chain and table fails while anybody is left.
 *
 * Our hooks come after those of iptables (dstnat, srcnat): who published a port first there keeps it.
 */

import { type Family, ipAt, lengthOf } from '../../model/address/address.ts'
import { WAY_OUT_MARK } from '../../model/hosts/hosts.ts'
import type { TableRef } from '../../netfilter/transaction.ts'
import type { Rules } from '../rules.ts'

export const TABLE = 'inet tsnet'
export const TABLE_REF: TableRef = { family: 'inet', name: 'tsnet' }

/** Every owner's element leads to it. */
export const IN_USE = 'in_use'

/** Deletes the table unless an owner or a forwarding guard is left in it. */
export const deleteTable = [
  `delete chain ${TABLE} ${IN_USE}`,
  `flush chain ${TABLE} unrelated`,
  `delete chain ${TABLE} unrelated`,
  `delete table ${TABLE}`,
]

/** The table with all that these rules need; changes nothing where it is there already. */
export const baseDocument = (rules: Pick<Rules, 'families'>): string[] => [
  ...base,
  ...subnetsOf(rules).flatMap(({ family, length }) => subnetChains(family, length)),
]

/** The subnets that the containers of these rules are in. */
export const subnetsOf = ({ families }: Pick<Rules, 'families'>): { family: Family; length: number }[] =>
  families.flatMap(({ family, addresses, peers }) => {
    const networks = [...addresses.map(({ network }) => network), ...(peers === undefined ? [] : [peers])]
    return [...new Set(networks.map(lengthOf))].map(length => ({ family, length }))
  })

/** What the elements of a set consist of. */
export function typesOfSet(name: string): { type: string; data?: string } {
  const address = name.includes('near4') ? 'ipv4_addr' : 'ipv6_addr'
  return types.get(name) ?? { type: `${address} . ${address}` }
}

const chain = (name: string, ...rules: string[]): string[] => hooked(name, '', ...rules)

function hooked(name: string, hook: string, ...rules: string[]): string[] {
  const spec = hook === '' ? '' : ` { type ${hook}; }`
  return [
    `add chain ${TABLE} ${name}${spec}`,
    `flush chain ${TABLE} ${name}`,
    ...rules.map(rule => `add rule ${TABLE} ${name} ${rule}`),
  ]
}

/** By name: the type of keys, and in maps that of data. */
const types = new Map<string, { type: string; data?: string }>()

function set(name: string, type: string): string {
  types.set(name, { type })
  return `add set ${TABLE} ${name} { type ${type}; }`
}

function map(name: string, type: string, data: string): string {
  types.set(name, { type, data })
  return `add map ${TABLE} ${name} { type ${type} : ${data}; }`
}

const both = (make: (family: Family, address: string, header: string) => string[]): string[] => [
  ...make(4, 'ipv4_addr', 'ip'),
  ...make(6, 'ipv6_addr', 'ip6'),
]

/** Addresses from and to which no rule leads. */
const NOT_LED = ['ip6 saddr fe80::/10 return', 'ip6 daddr { ::1, fe80::/10 } return']

/** Any address of a family but loopback's. */
const anyOf = (family: Family): string => (family === 4 ? 'ip daddr != 127.0.0.0/8' : 'meta nfproto ipv6')

export const base = [
  `add table ${TABLE}`,
  '# who uses this table, and families that are closed to forwarding of others',
  map('owners', 'mark . mark', 'verdict'),
  map('closed', 'nf_proto', 'verdict'),
  '# a container and its bridge; containers that nobody but the host may address; those reached from 127.0.0.0/8',
  ...both((family, address) => [
    set(`home${family}`, `${address} . ifname`),
    set(`guarded${family}`, address),
    set(`guarded_new${family}`, address),
  ]),
  set('loopback', 'ipv4_addr . ifname'),
  '# published ports: of any address of the host, and of one',
  ...both((family, address) => [
    map(`ports${family}`, 'inet_proto . inet_service', `${address} . inet_service`),
    map(`ports${family}_at`, `${address} . inet_proto . inet_service`, `${address} . inet_service`),
  ]),
  '# the same ports again, to look them up; those that a proxy serves for what comes from a bridge',
  ...both((family, address) => [
    set(`open${family}`, 'inet_proto . inet_service'),
    set(`open${family}_at`, `${address} . inet_proto . inet_service`),
    set(`proxied${family}`, 'ifname . inet_proto . inet_service'),
    set(`proxied${family}_at`, `ifname . ${address} . inet_proto . inet_service`),
  ]),
  '# containers with published ports, and with one of their addresses on other networks',
  ...both((family, address) => [
    ...['', 'guest_'].flatMap(whose => [
      set(`${whose}server${family}`, address),
      set(`${whose}sibling${family}`, `${address} . ${address}`),
    ]),
  ]),
  '# containers that leave under the address of the host, or this one of them, and those with published ports',
  ...both((family, address) => [
    map(`masquerade${family}`, address, 'verdict'),
    map(`leave_as${family}`, address, address),
    map(`hairpin${family}`, address, 'verdict'),
  ]),
  '# containers of networks with other hosts: who is in the network by the way to it, and who was let in',
  ...both((family, address) => [
    map(`peers${family}`, address, 'verdict'),
    map(`peers_led${family}`, address, 'verdict'),
  ]),
  '# containers of others, which are reached through published ports and no further',
  ...both((family, address) => [
    set(`guest${family}`, `${address} . ifname`),
    map(`guest_hairpin${family}`, address, 'verdict'),
  ]),
  '',
  ...chain(IN_USE),
  '',
  '# loopback addresses come from the host itself, containers are addressed by it and on their bridge',
  ...hooked(
    'raw_prerouting',
    'filter hook prerouting priority raw',
    'iifname != "lo" ip daddr 127.0.0.0/8 drop',
    ...both((family, _, header) => [
      `${header} daddr vmap @peers${family}`,
      `${header} daddr @guarded${family} ${header} daddr . iifname != @home${family} drop`,
    ]),
  ),
  '# what belongs to no connection passes no address translation: the host would reset what it knows nothing of',
  ...chain(
    'invalid',
    ...both((family, _, header) =>
      ['', 'guest_'].map(whose => `${header} saddr @${whose}server${family} meta l4proto { tcp, sctp } drop`),
    ),
    'fib daddr type != local return',
    ...NOT_LED,
    ...both((family, _, header) => [
      `${header} daddr . meta l4proto . th dport @open${family}_at drop`,
      `${anyOf(family)} meta l4proto . th dport @open${family} drop`,
    ]),
  ),
  ...hooked(
    'mangle_prerouting',
    'filter hook prerouting priority mangle',
    'ct state invalid jump invalid',
    ...both((family, _, header) => [
      `${header} daddr vmap @peers${family}`,
      `${header} daddr @guarded_new${family} ${header} daddr . iifname != @home${family} ct state != { established, related } drop`,
    ]),
  ),
  '',
  '# what is sent to an address of the host goes to the container that published the port',
  ...chain(
    'publish',
    ...NOT_LED,
    ...both((family, _, header) => [
      `iifname . ${header} daddr . meta l4proto . th dport @proxied${family}_at return`,
      `${anyOf(family)} iifname . meta l4proto . th dport @proxied${family} return`,
      `dnat ${header} to ${header} daddr . meta l4proto . th dport map @ports${family}_at`,
      `${anyOf(family)} dnat ${header} to meta l4proto . th dport map @ports${family}`,
    ]),
  ),
  ...hooked(
    'nat_prerouting',
    'nat hook prerouting priority dstnat + 10',
    'fib daddr type local jump publish',
  ),
  ...hooked('nat_output', 'nat hook output priority -90', 'fib daddr type local jump publish'),
  '',
  '# answers that would go past us are made to come back; what leaves the network gets our address',
  ...hooked(
    'nat_postrouting',
    'nat hook postrouting priority srcnat + 10',
    ...both((family, _, header) => [
      ...['', 'guest_'].map(
        whose => `ct status dnat ${header} daddr . ${header} saddr @${whose}sibling${family} masquerade`,
      ),
      `ct status dnat ${header} daddr vmap @hairpin${family}`,
      `ct status dnat ${header} daddr vmap @guest_hairpin${family}`,
      `${header} saddr vmap @masquerade${family}`,
    ]),
  ),
  '',
  '# where the host forwards for our sake, it forwards for nobody else',
  ...chain(
    'unrelated',
    // The other direction was let through; by which way this one comes is the container's business.
    'ct status dnat ct direction reply return',
    // Between containers of other hosts and the world.
    `(meta mark & ${WAY_OUT_MARK}) == ${WAY_OUT_MARK} return`,
    ...both((family, _, header) => [
      `${header} saddr . iifname @home${family} return`,
      `${header} daddr . oifname @home${family} ct state { established, related } return`,
      `${header} daddr . oifname @home${family} ct status dnat return`,
      `${header} daddr . oifname @guest${family} ct status dnat return`,
      `${header} daddr vmap @peers_led${family}`,
      `${header} daddr . oifname @home${family} ${header} daddr != @guarded${family} ${header} daddr != @guarded_new${family} return`,
    ]),
    'drop',
  ),
  ...hooked('filter_forward', 'filter hook forward priority filter', 'meta nfproto vmap @closed'),
]

/** What depends on the prefix length of a container's subnet. */
export function subnetChains(family: Family, length: number): string[] {
  const [header, address, multicast] =
    family === 4 ? ['ip', 'ipv4_addr', '224.0.0.0/4'] : ['ip6', 'ipv6_addr', 'ff00::/8']
  const kind = `${family}_${length}`
  const near = (container: string, other: string, prefix = ''): string =>
    `${header} ${container} . ${masked(`${header} ${other}`, family, length)} @${prefix}near${kind}`
  return [
    '',
    `# containers in subnets of /${length}`,
    set(`near${kind}`, `${address} . ${address}`),
    set(`guest_near${kind}`, `${address} . ${address}`),
    set(`peer_near${kind}`, `${address} . ${address}`),
    ...chain(
      `hairpin${kind}`,
      `${header} daddr . oifname @home${family} ${near('daddr', 'saddr')} masquerade`,
      ...(family === 4 ? ['ip saddr 127.0.0.0/8 ip daddr . oifname @loopback masquerade'] : []),
    ),
    ...chain(
      `guest_hairpin${kind}`,
      `${header} daddr . oifname @guest${family} ${near('daddr', 'saddr', 'guest_')} masquerade`,
    ),
    ...chain(`peers${kind}`, `${near('daddr', 'saddr', 'peer_')} fib saddr . iif oif exists accept`),
    ...chain(`peers_led${kind}`, `${near('daddr', 'saddr', 'peer_')} accept`),
    ...chain(
      `masquerade${kind}`,
      `${header} saddr . oifname @home${family} return`,
      `${header} daddr ${multicast} return`,
      `${near('saddr', 'daddr')} return`,
      `snat ${header} to ${header} saddr map @leave_as${family}`,
      'masquerade',
    ),
  ]
}

/** The network of an address, as an expression. */
function masked(address: string, family: Family, length: number): string {
  const bits = family === 4 ? 32 : 128
  if (length === bits) return address
  const mask = ((1n << BigInt(bits)) - 1n) ^ ((1n << BigInt(bits - length)) - 1n)
  return `(${address} & ${ipAt(mask, family)})`
}
