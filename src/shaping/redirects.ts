/** Whether an ifb still serves a link: one whose veth pair is gone has nothing to hold back. */

import type { LinkRef } from '../netlink/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { listIngressFilters, listQdiscs } from '../netlink/qdisc.ts'

/** True when some link of the namespace redirects what it receives to this one. */
export const isRedirectedTo = (nl: Netlink, ifb: LinkRef): boolean =>
  listQdiscs(nl)
    .filter(({ kind }) => kind === 'ingress')
    .some(({ index }) => listIngressFilters(nl, { index }).some(each => each.redirectIndex === ifb.index))
