/**
 * runtimeConfig.portMappings: one entry a port in, ranges out, so that ten thousand ports that lie side
 * by side are one rule.
 */

import { isUnspecified } from '../model/address.ts'
import type { Json } from '../model/json.ts'
import { readIp } from '../model/json-values.ts'
import { describeHostPorts, type PortMapping, type Protocol } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'

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
  const hostIp = readIp(entry.get('hostIP'))
  return present({
    protocol: readProtocol(entry.get('protocol')),
    hostIp: hostIp === undefined || isUnspecified(hostIp) ? undefined : hostIp,
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
 * The single ports without repetition: `0.0.0.0` and `::` both mean any address, so runtimes say many a
 * thing twice.
 * @param refuse hears of two that cannot both be: one host port that leads to two places
 */
export function distinctPorts(
  entries: PortMapping[],
  refuse: (one: PortMapping, other: PortMapping) => never,
): PortMapping[] {
  const sorted = entries.toSorted(
    (a, b) => compare(a.protocol, b.protocol) || a.hostPort - b.hostPort || compare(a.hostIp, b.hostIp),
  )
  const distinct: PortMapping[] = []
  // The first entry of a host port; the one for any address comes first, and covers the others.
  let first: PortMapping | undefined
  for (const entry of sorted) {
    if (first?.protocol !== entry.protocol || first.hostPort !== entry.hostPort) first = entry
    else {
      const said = first.hostIp === undefined ? first : distinct.at(-1)
      if (said !== undefined && (said.hostIp === undefined || said.hostIp === entry.hostIp)) {
        if (said.containerPort !== entry.containerPort) refuse(said, entry)
        continue
      }
    }
    distinct.push(entry)
  }
  return distinct
}

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
