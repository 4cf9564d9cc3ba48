/**
 * What an attachment has in the sets and maps of our table (nft-base.ts), and the commands that add it,
 * show it and take it away.
 */

import { lengthOf } from '../model/address.ts'
import { TABLE } from './nft-base.ts'
import { commentOf, type FamilyRules, type Published, type Rules } from './rules.ts'

/** What one attachment has in one of the sets or maps. */
export interface Element {
  set: string
  /** As nft writes it: `10.1.0.2 . "br0"`. */
  key: string
  /** In maps. */
  value?: string
}

/** The key of an owner in `owners`: two numbers of 32 bits. */
export const ownerKey = (owner: string): string => `0x${owner.slice(0, 8)} . 0x${owner.slice(8)}`

/** All elements of an attachment, in the order of their making. */
export function elementsOf({ owner, bridge, families }: Rules): Element[] {
  return [
    { set: 'owners', key: ownerKey(owner), value: 'jump in_use' },
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
  const { family, server, siblings, masquerade, guard, loopback, guest } = rules
  const kind = `${family}_${length}`
  const known: Element[] = server
    ? [
        { set: `server${family}`, key: ip },
        ...siblings.map(sibling => ({ set: `sibling${family}`, key: `${ip} . ${sibling}` })),
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
  if (masquerade || server) elements.push({ set: `near${kind}`, key: `${ip} . ${network}` })
  if (masquerade) {
    elements.push({ set: `masquerade${family}`, key: ip, value: `jump masquerade${kind}` })
  }
  if (server) {
    elements.push({ set: `hairpin${family}`, key: ip, value: `jump hairpin${kind}` })
  }
  if (loopback) elements.push({ set: 'loopback', key: `${ip} . "${bridge}"` })
  return elements
}

/** Those of them that lead from ports. */
export const portElementsOf = ({ bridge, families }: Rules): Element[] =>
  families.flatMap(rules => rules.published.flatMap(port => portElements(rules, bridge, port)))

export const isPortElement = ({ set }: Element): boolean => /^(ports|open|proxied)[46]/.test(set)

function portElements({ family, bridgeServed }: FamilyRules, bridge: string, port: Published): Element[] {
  const { protocol, hostIp, hostPort, target, containerPort, count } = port
  const kind = hostIp === undefined ? family : `${family}_at`
  const at = hostIp === undefined ? '' : `${hostIp} . `
  return Array.from({ length: count }, (_, i) => {
    const key = `${at}${protocol} . ${hostPort + i}`
    return [
      { set: `ports${kind}`, key, value: `${target} . ${containerPort + i}` },
      { set: `open${kind}`, key },
      ...(bridgeServed ? [{ set: `proxied${kind}`, key: `"${bridge}" . ${key}` }] : []),
    ]
  }).flat()
}

/**
 * The commands that add elements, and fail where one is there already. What goes to one set is one command,
 * which takes libnftables less memory than one for each of ten thousand ports.
 */
export const createElements = (elements: readonly Element[], owner: string): string[] =>
  bySet('create', elements, element => elementText(element, owner))

/** The commands that remove elements, and fail where one is not there. */
export const deleteElements = (elements: readonly Element[]): string[] =>
  bySet('delete', elements, ({ key }) => key)

function bySet(verb: string, elements: readonly Element[], text: (element: Element) => string): string[] {
  const sets = new Map<string, string[]>()
  for (const element of elements) {
    const texts = sets.get(element.set) ?? []
    texts.push(text(element))
    sets.set(element.set, texts)
  }
  return [...sets].map(([set, texts]) => `${verb} element ${TABLE} ${set} { ${texts.join(', ')} }`)
}

/** An element as nft prints it. */
export const elementText = ({ key, value }: Element, owner: string): string =>
  `${key} comment "${commentOf(owner)}"${value === undefined ? '' : ` : ${value}`}`

/**
 * The command that prints an element and fails where it is not there. One at a time: thousands in one
 * command end nft 1.0.6 with a segmentation fault.
 */
export const getElement = ({ set, key }: Element): string => `get element ${TABLE} ${set} { ${key} }`
