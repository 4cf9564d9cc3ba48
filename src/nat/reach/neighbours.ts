/**
 * Connections over TCP that a container began with its neighbours, and has no permission for any more.
 *
 * Nobody remembers who began what a bridge hands from port to port. So they are known by the container's own sockets: where
 * it listens on the port, somebody came to it; else it began.
 */

import { contains, familyOf, type Ip } from '../../model/address/address.ts'
import { isLinkLocal } from '../../model/address/host.ts'
import { hasCode } from '../../model/errors.ts'
import { protocolNumbers } from '../../model/port-mapping.ts'
import { NETLINK_SOCK_DIAG } from '../../netlink/constants.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { connections, endsOf, type TcpSocket, tcpListeners } from '../../netlink/sock-diag.ts'
import { inside, type Netns } from '../../netns/netns.ts'
import type { Begun } from '../begun.ts'
import { localAddresses } from '../served-ports.ts'
import { linkOf, type ReachGuard } from './plan.ts'
import { allowedOf, includes, rangeOf } from './ranges.ts'

/**
 * @param container absent: its namespace is not there any more
 * @throws NetlinkError
 */
export function neighboursDenied(
  guard: ReachGuard,
  container: Netns | undefined,
): { begun: Begun; socket: TcpSocket }[] {
  if (container === undefined) return []
  const isNear = (ip: Ip) => isLinkLocal(ip) || guard.addresses.some(each => contains(each, ip))
  const hosts = new Set(([4, 6] as const).flatMap(family => [...localAddresses(family)]))
  const links = linkOf(guard)?.map(each => ({ family: familyOf(each), range: rangeOf(each) }))
  const allowed = ([4, 6] as const).map(family => {
    const within = links?.filter(each => each.family === family).map(({ range }) => range)
    return [family, allowedOf(guard.reach.allow, family, within)] as const
  })
  return socketsIn(container).flatMap(socket => {
    const { ip: to, port } = endsOf(socket).destination
    const isMeant = isNear(to) && !hosts.has(to)
    const isAllowed = allowed.some(
      ([family, list]) => family === familyOf(to) && includes(list, to, protocolNumbers.tcp, port),
    )
    return isMeant && !isAllowed ? [{ begun: { to, protocol: 'tcp', port }, socket }] : []
  })
}

/** What a container began; nothing where the kernel does not tell. */
const socketsIn = (container: Netns): TcpSocket[] =>
  inside(container, () => {
    using nl = openNetlink(undefined, NETLINK_SOCK_DIAG)
    try {
      const listened = new Set(tcpListeners(nl).map(({ port }) => port))
      return connections(nl).filter(each => !listened.has(endsOf(each).source.port))
    } catch (thrown) {
      if (hasCode(thrown, 'ENOENT')) return []
      throw thrown
    }
  })
