/** Filters at the hook of a link (qdisc.ts): what is done with all that it receives. */

import { present } from '../../model/present.ts'
import { command } from '../command.ts'
import * as k from '../constants.ts'
import { type LinkRef, nameOf } from '../link/link.ts'
import type { Message } from '../message.ts'
import type { Netlink } from '../netlink.ts'
import { HOOK_HANDLE, type Hook } from './qdisc.ts'
import { filterMessage } from './tables.ts'

/** A filter at the hook of a link. */
export interface Filter {
  kind: string
  /** The kernel's name for it among those of its priority. */
  handle: number
  /** Lower is asked first. */
  priority: number
  /** Index of the link that it redirects to. */
  redirectIndex?: number
}

/** Where filters for what is received hang: at `ingress` itself, and at one of the two sides of `clsact`. */
const parents: Record<Hook, { parent: number; words: string[] }> = {
  ingress: { parent: HOOK_HANDLE, words: ['parent', 'ffff:'] },
  clsact: { parent: k.TC_H_CLSACT_INGRESS, words: ['ingress'] },
}

// The lower half of tcm_info is the protocol in network byte order.
const infoOf = (priority: number): number => ((priority << 16) | (k.ETH_P_ALL << 8)) >>> 0

/**
 * Sends all that a link receives into another link's transmit queue, after which it goes on as received.
 * Equivalent to: tc filter add dev NAME parent ffff: protocol all prio PRIORITY u32 match u32 0 0
 *                action mirred egress redirect dev TARGET
 */
export function addRedirect(
  nl: Netlink,
  link: LinkRef,
  target: LinkRef,
  { hook = 'ingress', priority = 1 }: { hook?: Hook; priority?: number } = {},
): void {
  const { parent, words } = parents[hook]
  nl.change({
    equivalent: () =>
      command(
        'tc filter add dev',
        nameOf(link),
        ...[...words, 'protocol', 'all', 'prio', priority, 'u32', 'match', 'u32', 0, 0],
        ...['action', 'mirred', 'egress', 'redirect', 'dev', nameOf(target)],
      ),
    type: k.RTM_NEWTFILTER,
    flags: k.NLM_F_CREATE | k.NLM_F_EXCL,
    payload: [
      filterMessage.encode({
        header: { index: link.index, parent, info: infoOf(priority) },
        attributes: {
          kind: 'u32',
          u32: {
            // One key whose mask is empty: it matches every packet.
            selector: { flags: k.TC_U32_TERMINAL, keys: 1 },
            actions: {
              first: {
                kind: 'mirred',
                mirred: {
                  parameters: {
                    action: k.TC_ACT_STOLEN,
                    direction: k.TCA_EGRESS_REDIR,
                    device: target.index,
                  },
                },
              },
            },
          },
        },
      }),
    ],
  })
}

/**
 * Takes one filter away, or all of a priority.
 * Equivalent to: tc filter delete dev NAME ingress protocol all prio PRIORITY [handle HANDLE KIND]
 * @throws NetlinkError `ENOENT`, `EINVAL` when there is none
 */
export function deleteFilter(
  nl: Netlink,
  link: LinkRef,
  hook: Hook,
  { priority, handle = 0, kind }: Pick<Filter, 'priority'> & Partial<Filter>,
): void {
  const { parent, words } = parents[hook]
  nl.change({
    equivalent: () =>
      command(
        'tc filter delete dev',
        nameOf(link),
        ...[...words, 'protocol', 'all', 'prio', priority],
        kind && ['handle', `0x${handle.toString(16)}`, kind],
      ),
    type: k.RTM_DELTFILTER,
    payload: [
      filterMessage.encode({
        header: { index: link.index, parent, handle, info: infoOf(priority) },
        attributes: { kind },
      }),
    ],
  })
}

/** @throws MalformedError */
export function readFilter({ payload }: Pick<Message, 'payload'>): Filter {
  const { header, attributes: a } = filterMessage.decode(payload)
  const mirred = a.u32?.actions?.first?.mirred?.parameters
  return present({
    kind: a.kind ?? '',
    handle: header.handle,
    priority: header.info >>> 16,
    redirectIndex: mirred?.direction === k.TCA_EGRESS_REDIR ? mirred.device : undefined,
  })
}

/**
 * The filters for what a link receives; none where there is no hook. A u32 filter stands for itself and for
 * the hash table it is in.
 * Equivalent to: tc filter show dev NAME ingress
 */
export function listIngressFilters(nl: Netlink, link: LinkRef): Filter[] {
  const messages = nl.dump({
    equivalent: () => command('tc filter show dev', nameOf(link), 'ingress'),
    type: k.RTM_GETTFILTER,
    payload: [
      // Either kind of hook has them under this name.
      filterMessage.encode({
        header: { index: link.index, parent: k.TC_H_CLSACT_INGRESS },
        attributes: {},
      }),
    ],
  })
  return messages.map(readFilter)
}
