/**
 * runtimeConfig.portMappings: one entry a port in, ranges out, so that ten thousand ports that lie side
 * by side are one rule.
 */

import { type HostIp, isUnspecified } from '../../model/address/address.ts'
import type { Json } from '../../model/json/json.ts'
import { readHostIp } from '../../model/json/values.ts'
import {
  coversAddress,
  describeHostPorts,
  type PortMapping,
  type Protocol,
} from '../../model/port-mapping.ts'
import { present } from '../../model/present.ts'

const protocols: readonly Protocol[] = ['tcp', 'udp', 'sctp']

/**
 * @returns sorted, without duplicates, neighbours merged
 * @throws TsnetError `invalid-config`, or `unsupported-field` for another protocol
 */
export function readPorts(list: Json): PortMapping[] {
  const entries = list.list().map(readPort)
  return mergePorts(
    distinctPorts(entries, (one, other) =>
      list.refuse(
        `is contradictory: ${describeHostPorts(one)} leads to container port ${one.containerPort}, ${describeHostPorts(other)} to ${other.containerPort}`,
      ),
    ),
  )
}

function readPort(entry: Json): PortMapping {
  return present({
    protocol: readProtocol(entry.get('protocol')),
    hostIp: readHostIp(entry.get('hostIP')),
    hostPort: readNumber(entry.get('hostPort')),
    containerPort: readNumber(entry.get('containerPort')),
    count: 1,
  })
}

// The reference refuses port 0 as well. To some it means "any port", to others "not published": an error
// is better than a port that nobody finds.
function readNumber(json: Json): number {
  return json.number(1, 65_535) ?? json.refuse('is missing')
}

/** Without regard to case; tcp where there is none. @throws TsnetError `unsupported-field` */
export function readProtocol(json: Json): Protocol {
  const text = json.text()?.toLowerCase() ?? 'tcp'
  return (
    protocols.find(known => known === text) ??
    json.refuse(`is not one of ${protocols.join(', ')}`, 'unsupported-field')
  )
}

/**
 * The single ports without repetition: what one entry says for all addresses, another need not say for one;
 * and `0.0.0.0` and `::` together are all of both families.
 * @param refuse hears of two that cannot both be: one host port that leads to two places
 */
export function distinctPorts(
  entries: PortMapping[],
  refuse: (one: PortMapping, other: PortMapping) => never,
): PortMapping[] {
  const sorted = joinFamilies(entries).toSorted(
    (a, b) =>
      compare(a.protocol, b.protocol) ||
      a.hostPort - b.hostPort ||
      breadth(b.hostIp) - breadth(a.hostIp) ||
      compare(a.hostIp, b.hostIp),
  )
  const distinct: PortMapping[] = []
  // Entries of one host port that are there already, the broadest first.
  let said: PortMapping[] = []
  for (const entry of sorted) {
    const [first] = said
    if (first?.protocol !== entry.protocol || first.hostPort !== entry.hostPort) said = []
    const covering = said.find(({ hostIp }) => coversAddress(hostIp, entry.hostIp))
    if (covering === undefined) {
      said.push(entry)
      distinct.push(entry)
    } else if (covering.containerPort !== entry.containerPort) refuse(covering, entry)
  }
  return distinct
}

/** What is said for both families alike is said for all addresses. */
function joinFamilies(entries: PortMapping[]): PortMapping[] {
  const placeOf = ({ protocol, hostPort, containerPort }: PortMapping) =>
    `${protocol} ${hostPort} ${containerPort}`
  const ofV6 = new Set(entries.filter(({ hostIp }) => hostIp === '::').map(placeOf))
  const ofBoth = new Set(
    entries.filter(each => each.hostIp === '0.0.0.0' && ofV6.has(placeOf(each))).map(placeOf),
  )
  return entries.map(entry => {
    const { hostIp, ...rest } = entry
    return hostIp !== undefined && isUnspecified(hostIp) && ofBoth.has(placeOf(entry)) ? rest : entry
  })
}

/** Of how many addresses an entry speaks: one, those of a family, all. */
const breadth = (ip: HostIp | undefined): number => (ip === undefined ? 2 : isUnspecified(ip) ? 1 : 0)

/** Joins ports that lie side by side, at one address and protocol and one distance to the container's. */
export function mergePorts(entries: PortMapping[]): PortMapping[] {
  const sorted = entries.toSorted(
    (a, b) => compare(a.protocol, b.protocol) || compare(a.hostIp, b.hostIp) || a.hostPort - b.hostPort,
  )
  const merged: PortMapping[] = []
  for (const entry of sorted) {
    const last = merged.at(-1)
    if (last !== undefined && continues(last, entry)) last.count += entry.count
    else merged.push({ ...entry })
  }
  return merged
}

const continues = (range: PortMapping, next: PortMapping): boolean =>
  range.protocol === next.protocol &&
  range.hostIp === next.hostIp &&
  range.hostPort + range.count === next.hostPort &&
  range.containerPort + range.count === next.containerPort

const compare = (a = '', b = ''): number => (a < b ? -1 : a > b ? 1 : 0)
