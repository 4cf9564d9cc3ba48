/**
 * Of all that the kernel tells, what may mean that something of ours is gone. Most of it is told while we attach and
 * detach, so a message is judged by a few of its bytes.
 *
 *     nf_tables    a table, chain, rule, set or element went that has our name in it, or one that drop-ins use; a policy of
 *                  FORWARD, INPUT, a chain or a guard of ours was set; a rule came to INPUT, where names are asked for,
 *                  or to our table or a guard that was there before: these are compared rule by rule, while in chains
 *                  of iptables rules of others may stand beside ours; our table, or one with guards, was put to sleep
 *     links        a bridge went or is down, a port left its bridge, is down, or has other settings
 *     addresses    a link lost one
 *     limits       a qdisc or a filter went or is another, an ifb of ours went or is down
 *     settings     forwarding, or reverse path filtering, was set
 */

import * as nft from '../../netfilter/constants.ts'
import { chainMessage, ruleMessage, tableMessage } from '../../netfilter/tables.ts'
import * as k from '../../netlink/constants.ts'
import { readLink } from '../../netlink/link/link.ts'
import type { Message } from '../../netlink/message.ts'
import { isIfb } from '../../shaping/shaping.ts'

const GONE: readonly number[] = [
  nft.NFT_MSG_DELTABLE,
  nft.NFT_MSG_DELCHAIN,
  nft.NFT_MSG_DELRULE,
  nft.NFT_MSG_DELSET,
  nft.NFT_MSG_DELSETELEM,
]

/** Ours, those of the reference's plugins, which drop-ins use, and of who lets them through. */
const NAMES = ['tsnet', 'TSNET-', 'CNI-', 'cni', 'firewalld']

/** Hears what nf_tables tells, in its order: of each transaction what it made, and the generation last. */
export class RuleNotices {
  /** What this transaction made. With it came all that belongs there. */
  readonly #made = new Set<string>()

  /** True where rules or guards of ours may be gone, or there may be others now that must not be before ours. */
  concernsRules({ type, payload }: Message): boolean {
    const bytes = bytesOf(payload)
    switch (type) {
      case nft.NFT_MSG_NEWGEN:
        this.#made.clear()
        return false
      case nft.NFT_MSG_NEWTABLE:
        if (!OUR_TABLES.some(name => bytes.includes(name))) return false
        this.#made.add(tableMessage.decode(payload).attributes.name ?? '')
        return isDormant(payload)
      case nft.NFT_MSG_NEWCHAIN:
        // The chains are iptables' own, which many are added to; of ours a policy is said again whenever one is made.
        return (
          INPUT_OR_FORWARD.some(name => bytes.includes(name)) ||
          (bytes.includes('tsnet\0') && policyOf(payload) === 'drop') ||
          (bytes.includes(GUARD) && policyOf(payload) === 'accept')
        )
      case nft.NFT_MSG_NEWRULE:
        if (OURS_ALONE.some(name => bytes.includes(name)))
          return !this.#made.has(ruleMessage.decode(payload).attributes.table ?? '')
        return bytes.includes(INPUT)
      default:
        return GONE.includes(type) && NAMES.some(name => bytes.includes(name))
    }
  }
}

/** True where something went of the tables of networks over many hosts, after which those look themselves. */
export function concernsHosts({ type, payload }: Message): boolean {
  if (!GONE.includes(type)) return false
  const bytes = bytesOf(payload)
  return HOSTS_TABLES.some(name => bytes.includes(name))
}

/** To be searched; nothing is copied. */
const bytesOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, length)

/** As attributes hold them: the byte before a name is the upper one of its type. */
const INPUT = '\0INPUT\0'
const INPUT_OR_FORWARD = [INPUT, '\0FORWARD\0']
/** A table for each guard, whose chain drops by policy; `bridge nat` has those of drop-ins. */
const GUARD = '\0tsnet-'
const OURS_ALONE = ['\0tsnet\0', GUARD]
/** Who may tunnel into a network (hosts/carrier/guard.ts), by whom it leaves (hosts/egress/table.ts). */
const HOSTS_TABLES = ['\0tsnet-tsx', '\0tsnet-out-']
const OUR_TABLES = ['tsnet\0', GUARD, '\0nat\0']

const isDormant = (payload: Uint8Array): boolean =>
  ((tableMessage.decode(payload).attributes.flags ?? 0) & nft.NFT_TABLE_F_DORMANT) !== 0

const policyOf = (payload: Uint8Array) => chainMessage.decode(payload).attributes.policy

/** What a message of rtnetlink may mean. */
export type Notice =
  | { what: 'bridge'; name: string }
  /** A port may have left its bridge, or be down: to be looked at at once, by its index. */
  | { what: 'port'; index: number }
  /** A port may have other settings. */
  | { what: 'port-settings'; index: number }
  /** A link lost an address. */
  | { what: 'address'; index: number }
  /** A limit may be gone: of a link, by its index, or of an ifb, by its name. */
  | { what: 'limits'; of: number | string }
  | { what: 'settings' }

/** Undefined for what does not concern us. */
export function noticeOf(message: Message): Notice | undefined {
  const { type, payload } = message
  switch (type) {
    case k.RTM_DELADDR:
      return { what: 'address', index: indexIn(payload) }
    // Both begin with family and index: struct tcmsg.
    case k.RTM_DELQDISC:
    case k.RTM_NEWQDISC:
    case k.RTM_DELTFILTER:
      return { what: 'limits', of: indexIn(payload) }
    case k.RTM_NEWNETCONF:
      return concernsSettings(payload) ? { what: 'settings' } : undefined
    case k.RTM_DELLINK:
      if (payload[0] === k.AF_BRIDGE) return { what: 'port', index: indexIn(payload) }
      return bridgeIn(message)
    case k.RTM_NEWLINK:
      if (payload[0] === k.AF_BRIDGE) return { what: 'port-settings', index: indexIn(payload) }
      return (flagsIn(payload) & k.IFF_UP) === 0 ? downIn(message) : undefined
    default:
      return undefined
  }
}

const viewOf = ({ buffer, byteOffset, length }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, length)

/** In struct ifinfomsg and struct ifaddrmsg alike. */
const indexIn = (payload: Uint8Array): number => viewOf(payload).getInt32(4, true)
/** struct ifinfomsg. */
const flagsIn = (payload: Uint8Array): number => viewOf(payload).getUint32(8, true)

/** A bridge, or what stands for one of its VLANs: BRIDGE.ID. */
function bridgeIn(message: Message): Notice | undefined {
  const { kind, name } = readLink(message)
  if (kind === 'bridge') return { what: 'bridge', name }
  if (isIfb({ kind, name })) return { what: 'limits', of: name }
  return kind === 'vlan' ? { what: 'bridge', name: name.replace(/\.\d+$/, '') } : undefined
}

function downIn(message: Message): Notice | undefined {
  const { alias, index, kind, name } = readLink(message)
  if (isIfb({ kind, name })) return { what: 'limits', of: name }
  if (alias === undefined || !alias.startsWith('tsnet')) return undefined
  return alias.startsWith('tsnet:') ? { what: 'port', index } : bridgeIn(message)
}

/** linux/netconf.h: struct netconfmsg, then attributes of 32 bits. */
const [IFINDEX, FORWARDING, RP_FILTER] = [1, 2, 3]
const OF_ALL = -1

/** Of a new link all settings are told at once; of what is set, that one. */
function concernsSettings(payload: Uint8Array): boolean {
  const view = viewOf(payload)
  const values = new Map<number, number>()
  for (let at = 4; at + 8 <= payload.length; at += 8)
    values.set(view.getUint16(at + 2, true), view.getInt32(at + 4, true))
  const isOfAll = values.get(IFINDEX) === OF_ALL
  if (values.has(FORWARDING)) return isOfAll && values.get(FORWARDING) === 0
  return values.has(RP_FILTER)
}
