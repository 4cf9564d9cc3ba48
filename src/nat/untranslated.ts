/**
 * Connections that began while rules were lacking, and go on without them: the kernel translates by a connection's first
 * packet. What a container sends leaves under its own address, and what is sent to a published port stays with the host,
 * for as long as somebody sends. So where rules have been put back, those are forgotten that have not what the rules
 * would have given them, and the next packet begins anew.
 *
 * A connection of TCP or SCTP that is answered gets along without, and would not survive: it stays. Of datagrams none is
 * lost. What was translated stays in any case.
 */

import {
  type Cidr,
  contains,
  type Family,
  familiesOf,
  familyOf,
  type Ip,
  ipOf,
  isForMany,
} from '../model/address/address.ts'
import { isLinkLocal } from '../model/address/host.ts'
import { type PortMapping, protocolNumbers } from '../model/port-mapping.ts'
import { netfilterHere } from '../netfilter/netfilter.ts'
import { bits, forgetListed, isTracking, listTracked, type Selection, type Tracked } from './conntrack.ts'
import { header } from './kernel-chains.ts'
import { isServed, localAddresses, servedPorts } from './served-ports.ts'

/** What rules do for one container. */
export interface Translated {
  /** With the length of their subnets. */
  addresses: Cidr[]
  ipMasq: boolean
  /** Those that lead there. */
  ports: readonly PortMapping[]
}

/** Forgets what goes on untranslated. @throws NetlinkError */
export const forgetUntranslated = (all: readonly Translated[]): void =>
  eachWrong(all, (wanted, isWrong) => forgetListed(netfilterHere(), wanted, isWrong))

/** How many connections go on untranslated. @throws NetlinkError */
export function countUntranslated(all: readonly Translated[]): number {
  let count = 0
  eachWrong(all, (wanted, isWrong) => {
    count += listTracked(netfilterHere(), wanted).filter(isWrong).length
  })
  return count
}

/** @param work for each family: what to list, and which of that is wrong */
function eachWrong(
  all: readonly Translated[],
  work: (wanted: Selection, isWrong: (tracked: Tracked) => boolean) => void,
): void {
  if (all.length === 0 || !isTracking()) return
  for (const family of familiesOf(all.flatMap(({ addresses }) => addresses))) {
    const wanted = {
      header: { family: header(family), version: 1 },
      attributes: { status: 0, statusMask: bits.translated },
    } as const
    work(wanted, untranslated(family, all, localAddresses(family)))
  }
}

/** Tells of a connection whether it lacks what the rules give. @param local the addresses of this host */
export function untranslated(
  family: Family,
  all: readonly Translated[],
  local: Set<Ip>,
): (tracked: Tracked) => boolean {
  const concerned = all.filter(({ addresses }) => addresses.some(each => familyOf(each) === family))
  const ports = servedPorts(
    family,
    concerned.flatMap(each => each.ports),
    local,
  )
  const subnets = new Map<Ip, Cidr[]>()
  for (const { addresses, ipMasq } of concerned) {
    if (!ipMasq) continue
    const own = addresses.filter(each => familyOf(each) === family)
    for (const address of own) subnets.set(ipOf(address), [...(subnets.get(ipOf(address)) ?? []), ...own])
  }
  const leaves = ({ source, destination }: Tracked['original']): boolean => {
    const near = source === undefined ? undefined : subnets.get(source)
    if (near === undefined || destination === undefined) return false
    return (
      !local.has(destination) &&
      !isForMany(destination) &&
      !isLinkLocal(destination) &&
      !near.some(each => contains(each, destination))
    )
  }
  return ({ original, reply, status }) => {
    if ((status & bits.translated) !== 0) return false
    if (CONNECTED.includes(original.protocol) && (status & bits.answered) !== 0) return false
    return (leaves(original) && reply.destination === original.source) || isServed(ports, original)
  }
}

const CONNECTED: readonly (number | undefined)[] = [protocolNumbers.tcp, protocolNumbers.sctp]
