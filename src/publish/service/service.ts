/**
 * Who is called as a service is, here and on other hosts.
 *
 *     attachments of this host ─┐
 *     names of other hosts ─────┴─▶ members ──▶ containers, away ──▶ the proxy's targets
 *
 * A service is a name and no object: whoever is called so is a member, from the end of its ADD to its DEL. A publication
 * has those of this host as its containers, and those of others beside them (`service.away`). Connections stay where they
 * are when members come and go; new ones go to whoever has the fewest.
 *
 * Members of a host that is drained are left out. With nobody left the port is kept, and who connects is reset. While it is
 * not known who is on other hosts (etcd is away, and the daemon has just started), those that are written down stay.
 */

import { familyOf, ipOf } from '../../model/address/address.ts'
import { type Attachment, nameOfAttached } from '../../model/network.ts'
import type { AwayMember, Container, Service, ServiceName } from '../../model/publication/publication.ts'
import type { Led } from '../draft.ts'

/** Who is called so now. */
export interface Members {
  here: Container[]
  away: AwayMember[]
  drained: number
}

/** @param known who was called so before, on networks of which it is not known now */
export type FindMembers = (service: ServiceName, known: readonly AwayMember[]) => Members

/** Where a request leads that is for a service. */
export function ledBy(find: FindMembers, service: ServiceName, known: readonly AwayMember[] = []): Led {
  const { here, away, drained } = find(service, known)
  return { containers: here, service: { ...service, away, drained } }
}

/**
 * What changes when a publication leads elsewhere, as a text. A container that came back is elsewhere although the kernel
 * has given its namespace the number that the one before had: the cookie says so, or else the path, with its process' id.
 */
export const signatureOf = ({ containers, service }: Led): string =>
  JSON.stringify([
    containers.map(({ netns: { path, dev, ino, cookie }, addresses }) => [
      [path, dev, ino, cookie],
      service === undefined || addresses,
    ]),
    service?.away.map(({ host, name, addresses }) => [host, name, addresses]),
    service?.drained,
  ])

/**
 * A container of this host as a member. The addresses are those of this attachment: where it is on several networks, the
 * service is of one of them.
 */
export function memberOf(attachment: Attachment): Container {
  const { containerId, netns, leases, bridge, hostInterface, bridgeOptions, aliases } = attachment
  const addresses = leases.map(({ address }) => address)
  const isReached = bridgeOptions?.isGateway === true || bridgeOptions?.isDefaultGateway === true
  const own = addresses.find(each => familyOf(each) === 4) ?? addresses[0]
  return {
    runtime: 'cni',
    id: containerId,
    name: nameOfAttached({ containerId, aliases }),
    reference: `cni:${containerId}`,
    netns,
    addresses: isReached ? addresses : [],
    ...(isReached && { bridge: bridge.name, bridgePort: hostInterface.name }),
    ...(bridgeOptions?.portIsolation === true && { isolated: true as const }),
    ...(own !== undefined && { ownAddress: ipOf(own) }),
  }
}

/** How people are told of the members of a service. */
export const membersText = ({
  containers,
  service,
}: {
  containers: readonly { name: string }[]
  service?: Pick<Service, 'away'>
}): string =>
  [
    ...containers.map(({ name }) => name),
    ...(service?.away ?? []).map(({ name, host }) => `${name} on ${host}`),
  ].join(', ')
