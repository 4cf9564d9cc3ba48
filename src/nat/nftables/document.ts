/** What an attachment has in the sets and maps of our table (base.ts), in words. */

import { type Cidr, type Family, ipOf, lengthOf } from '../../model/address/address.ts'
import { commentOf, type FamilyRules, type Published, type Rules } from '../rules.ts'
import { IN_USE, TABLE } from './base.ts'

/** What one attachment has in one of the sets or maps. */
export interface Element {
  set: string
  /** As nft writes it: `10.1.0.2 . "br0"`. */
  key: string
  /** In maps. */
  value?: string
  /** Of a range of ports: so many (default 1); key and value end in a port, one higher in each. */
  count?: number
}

/** The elements of a range, one by one. */
export function onePortEach({ count = 1, ...first }: Element): Element[] {
  const { key, value } = first
  return Array.from({ length: count }, (_, i) => ({
    ...first,
    key: raised(key, i),
    ...(value !== undefined && { value: raised(value, i) }),
  }))
}

function raised(text: string, by: number): string {
  if (by === 0) return text
  const at = text.lastIndexOf(' ') + 1
  return `${text.slice(0, at)}${Number(text.slice(at)) + by}`
}

/** The key of an owner in `owners`: two numbers of 32 bits. */
export const ownerKey = (owner: string): string => `0x${owner.slice(0, 8)} . 0x${owner.slice(8)}`

/** What closes the host to forwarding of others. */
export const closing = (family: Family): Element => ({
  set: 'closed',
  key: `ipv${family}`,
  value: 'jump unrelated',
})

/** All elements of an attachment, in the order of their making; ranges of ports as they are. */
export function elementsOf({ owner, bridge, families }: Rules): Element[] {
  return [
    { set: 'owners', key: ownerKey(owner), value: `jump ${IN_USE}` },
    ...families.flatMap(rules => [
      ...rules.addresses.flatMap(({ ip, network }) =>
        addressElements(rules, bridge, ip, network.slice(0, network.indexOf('/')), lengthOf(network)),
      ),
      ...rules.published.flatMap(port => portElements(rules, bridge, port)),
    ]),
  ]
}

function addressElements(
  rules: FamilyRules,
  bridge: string,
  ip: string,
  network: string,
  length: number,
): Element[] {
  const { family, server, siblings, masquerade, guard, loopback, guest, peers, leaveAs } = rules
  const kind = `${family}_${length}`
  const whose = guest ? 'guest_' : ''
  const known: Element[] = server
    ? [
        { set: `${whose}server${family}`, key: ip },
        ...siblings.map(sibling => ({ set: `${whose}sibling${family}`, key: `${ip} . ${sibling}` })),
      ]
    : []
  if (guest) {
    return [
      ...known,
      { set: `guest${family}`, key: `${ip} . "${bridge}"` },
      { set: `guest_near${kind}`, key: `${ip} . ${network}` },
      { set: `guest_hairpin${family}`, key: ip, value: `jump guest_hairpin${kind}` },
    ]
  }
  const elements: Element[] = [...known, { set: `home${family}`, key: `${ip} . "${bridge}"` }]
  if (guard === 'all') elements.push({ set: `guarded${family}`, key: ip })
  if (guard === 'new') elements.push({ set: `guarded_new${family}`, key: ip })
  const all = peers === undefined ? { kind, network } : wholeOf(family, peers)
  // Of a network of many hosts all of it is left as it is; who has a port answers those next to him in its own way.
  const near = new Map(
    [...(masquerade ? [all] : []), ...(server ? [{ kind, network }] : [])].map(each => [each.kind, each]),
  )
  for (const each of near.values()) elements.push({ set: `near${each.kind}`, key: `${ip} . ${each.network}` })
  if (masquerade) {
    elements.push({ set: `masquerade${family}`, key: ip, value: `jump masquerade${all.kind}` })
    if (leaveAs !== undefined) elements.push({ set: `leave_as${family}`, key: ip, value: leaveAs })
  }
  if (peers !== undefined) {
    elements.push(
      { set: `peer_near${all.kind}`, key: `${ip} . ${all.network}` },
      { set: `peers${family}`, key: ip, value: `jump peers${all.kind}` },
      { set: `peers_led${family}`, key: ip, value: `jump peers_led${all.kind}` },
    )
  }
  if (server) {
    elements.push({ set: `hairpin${family}`, key: ip, value: `jump hairpin${kind}` })
  }
  if (loopback) elements.push({ set: 'loopback', key: `${ip} . "${bridge}"` })
  return elements
}

const wholeOf = (family: Family, cidr: Cidr): { kind: string; network: string } => ({
  kind: `${family}_${lengthOf(cidr)}`,
  network: ipOf(cidr),
})

/** Those of them that lead from ports. */
export const portElementsOf = ({ bridge, families }: Rules): Element[] =>
  families.flatMap(rules => rules.published.flatMap(port => portElements(rules, bridge, port)))

export const isPortElement = ({ set }: Element): boolean => /^(ports|open|proxied)[46]/.test(set)

function portElements({ family, bridgeServed }: FamilyRules, bridge: string, port: Published): Element[] {
  const { protocol, hostIp, hostPort, target, containerPort, count } = port
  const kind = hostIp === undefined ? family : `${family}_at`
  const at = hostIp === undefined ? '' : `${hostIp} . `
  const key = `${at}${protocol} . ${hostPort}`
  return [
    { set: `ports${kind}`, key, value: `${target} . ${containerPort}`, count },
    { set: `open${kind}`, key, count },
    ...(bridgeServed ? [{ set: `proxied${kind}`, key: `"${bridge}" . ${key}`, count }] : []),
  ]
}

/** The commands that add elements, for a page to read; what goes to one set is one of them. */
export function createText(elements: readonly Element[], owner: string): string[] {
  const sets = new Map<string, string[]>()
  for (const element of elements.flatMap(onePortEach)) {
    const texts = sets.get(element.set) ?? []
    texts.push(elementText(element, owner))
    sets.set(element.set, texts)
  }
  return [...sets].map(([set, texts]) => `create element ${TABLE} ${set} { ${texts.join(', ')} }`)
}

/** An element as nft prints it. */
export const elementText = ({ key, value }: Element, owner: string): string =>
  `${key} comment "${commentOf(owner)}"${value === undefined ? '' : ` : ${value}`}`
