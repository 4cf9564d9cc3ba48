/**
 * What the network of a place consists of, as the kernel tells it over netlink.
 */

import { listAddresses } from '../netlink/address.ts'
import { type Link, listLinks } from '../netlink/link/link.ts'
import { listNeighbours } from '../netlink/neighbour.ts'
import { listQdiscs, type Qdisc } from '../netlink/qdisc/qdisc.ts'
import { type KernelRoute, listRoutes } from '../netlink/route.ts'
import { converse } from './links.ts'
import type { Place } from './place.ts'
import { counted, type Section } from './section.ts'

/** Links, addresses, routes, neighbours and qdiscs. */
export function kernelSectionsOf(places: readonly Place[]): Record<string, Section> {
  const link: Record<string, string> = {}
  const address: Record<string, string> = {}
  const lines = { route: [] as string[], neighbour: [] as string[], qdisc: [] as string[] }
  for (const place of places) {
    converse(place.netns, nl => {
      const links = listLinks(nl)
      const name = (index = 0) => links.find(link => link.index === index)?.name ?? `if${index}`
      for (const one of links) link[`${place.name} ${one.name}`] = describeLink(one, name)
      for (const { index, address: cidr, ...rest } of listAddresses(nl)) {
        address[`${place.name} ${name(index)} ${cidr}`] = rest.noPrefixRoute ? 'without route' : ''
      }
      const note = (kind: keyof typeof lines, text: string) => lines[kind].push(`${place.name} ${text}`)
      for (const route of listRoutes(nl)) note('route', describeRoute(route, name))
      for (const { ip, mac, index, state, proxy } of listNeighbours(nl)) {
        // What was learned is forgotten again; what somebody set stays.
        if (state === 'permanent' || proxy) note('neighbour', `${ip} ${mac ?? 'proxy'} on ${name(index)}`)
      }
      for (const qdisc of listQdiscs(nl)) if (qdisc.handle !== 0) note('qdisc', describeQdisc(qdisc, name))
    })
  }
  return {
    link,
    address,
    route: counted(lines.route),
    neighbour: counted(lines.neighbour),
    qdisc: counted(lines.qdisc),
  }
}

type NameOf = (index?: number) => string

function describeLink(link: Link, name: NameOf): string {
  const { kind = 'device', up, mtu, mac, masterIndex, bridge, port, promiscuous, alias } = link
  const words = [kind, up ? 'up' : 'down', `mtu ${mtu}`, mac]
  if (masterIndex !== undefined) words.push(`port of ${name(masterIndex)}`, settingsText(port))
  if (bridge !== undefined) words.push(settingsText(bridge))
  if (promiscuous) words.push('promiscuous')
  if (alias !== undefined) words.push(`alias ${alias}`)
  return words.filter(Boolean).join(', ')
}

const settingsText = (settings: object = {}): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name} ${value}`)
    .join(' ')

function describeRoute(route: KernelRoute, name: NameOf): string {
  const { destination, type, table, gateway, index, priority, nextHops } = route
  const hops = nextHops?.map(hop => `via ${hop.gateway ?? name(hop.index)}`) ?? []
  return [
    `${type} ${destination} in table ${table}`,
    gateway && `via ${gateway}`,
    index && `on ${name(index)}`,
    priority && `metric ${priority}`,
    ...hops,
  ]
    .filter(Boolean)
    .join(' ')
}

const describeQdisc = ({ kind, index, tbf }: Qdisc, name: NameOf): string =>
  [kind, `on ${name(index)}`, tbf && `rate ${tbf.rate} burst ${tbf.burst}`].filter(Boolean).join(' ')
