/**
 * Speaks with netfilter: rules, sets and maps of nf_tables, without any program or library.
 *
 *     plans ──transaction.ts──▶ one datagram ──▶ the kernel does all of it or nothing
 *     list.ts ◀── tables, chains, rules, sets, elements: ours and others'
 *
 *     bytes          values, tables, expression-tables, userdata, set-types     tables ⇄ bytes
 *     plans          expressions, elements, rule, transaction, refusal          what is to be done, and what is refused
 *     objects        list, generations                                          what is there, and who changed it
 *
 * A table belongs to a family (`inet` has IPv4 and IPv6). A base chain hangs on a hook of the kernel, others are
 * jumped to. A rule is a list of expressions that hand values to each other in registers; a set or a map is
 * looked up by one of them. Each transaction makes the rule set another generation.
 *
 * Nothing is acknowledged unless it fails. A refusal names a place in its message: the element that is there
 * already, the expression that this kernel does not have.
 *
 * Limits: no objects (named counters, quotas), flow tables, timeouts of elements or dynamic sets; what others
 * have of that is read as far as its name goes. A datagram may not be larger than the socket's buffer, which
 * root enlarges as it likes, and root of a user namespace to twice net.core.wmem_max.
 *
 * Source: linux/netfilter/nfnetlink.h, nf_tables.h.
 */

import { hasCode, TsnetError } from '../model/errors.ts'
import { NETLINK_NETFILTER } from '../netlink/constants.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { inodeHere } from '../netns/netns.ts'
import { generation } from './generations.ts'
import { explainSocket } from './refusal.ts'

const conversations = new Map<number, Netlink>()

/**
 * The conversation with netfilter in the namespace that the thread is in. It is kept, since closing a socket of
 * NETLINK_NETFILTER waits for an RCU grace period (about 15 ms) when somebody deleted rules a moment ago, which
 * is just when we use them. A process that ends leaves closing to the kernel, which does not make it wait.
 * @throws TsnetError `missing` where the kernel has no netfilter
 */
export function netfilterHere(): Netlink {
  const namespace = inodeHere()
  const kept = conversations.get(namespace)
  if (kept !== undefined) return kept
  try {
    const conversation = openNetlink(undefined, NETLINK_NETFILTER)
    conversations.set(namespace, conversation)
    return conversation
  } catch (thrown) {
    return explainSocket(thrown)
  }
}

/** Namespaces do not differ in it, and a kernel that has it keeps it. */
let isThere = false

/** True where the kernel has nf_tables; loads its module where it can. Without permission, what is asked says so. */
export function hasNfTables(): boolean {
  if (isThere) return true
  try {
    generation(netfilterHere())
  } catch (thrown) {
    // A subsystem that the kernel does not have is an invalid request.
    if (hasCode(thrown, 'missing', 'EINVAL', 'EOPNOTSUPP')) return false
    if (!hasCode(thrown, 'EPERM')) throw thrown
  }
  isThere = true
  return true
}

/** What to say where hasNfTables is false. */
export const missingNfTables = (): TsnetError =>
  new TsnetError('missing', 'nftables: this kernel has no nf_tables', {
    details: 'the kernel needs CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET, or their modules',
  })
