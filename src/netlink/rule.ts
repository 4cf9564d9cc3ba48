/**
 * Rules by which the kernel chooses a routing table.
 *
 * Source: linux/fib_rules.h (struct fib_rule_hdr, enum FRA_*, FR_ACT_*).
 */

import { type Cidr, cidrOf, type Family, familyOf, ipOf, lengthOf } from '../model/address/address.ts'
import { present } from '../model/present.ts'
import { attributes, payload } from './attributes.ts'
import { addressFamily, ip, struct, u8, u32 } from './codecs.ts'
import { command } from './command.ts'
import * as k from './constants.ts'
import type { Message } from './message.ts'
import type { Netlink, Request } from './netlink.ts'

const message = payload(
  struct(12, {
    family: [0, u8],
    destinationLength: [1, u8],
    sourceLength: [2, u8],
    tos: [3, u8],
    table: [4, u8],
    action: [7, u8],
    flags: [8, u32],
  }),
  attributes({
    source: [2, ip],
    priority: [6, u32],
    mark: [10, u32],
    suppressPrefixLength: [14, u32],
    table: [15, u32],
    markMask: [16, u32],
    protocol: [21, u8],
  }),
)

/** Of those that look up a table, with as much of them as ours have. */
export interface PolicyRule {
  /** The lowest is asked first. */
  priority: number
  source: Cidr
  table: number
  mark?: number
  /** Bits of the mark that count. */
  markMask?: number
  /** Routes with no longer prefix are passed over. */
  suppressPrefixLength?: number
  /** RTPROT_*, by which those who make rules know theirs again. */
  protocol?: number
}

/** Of one protocol. Equivalent to: ip [-4|-6] rule show proto PROTOCOL */
export const listPolicyRules = (nl: Netlink, family: Family, protocol: number): PolicyRule[] =>
  nl
    .dump({
      equivalent: `ip -${family} rule show`,
      type: k.RTM_GETRULE,
      payload: [message.encode({ header: { family: addressFamily(family) }, attributes: {} })],
    })
    .flatMap(({ payload }) => {
      const { header, attributes: a } = message.decode(payload)
      const isOurs = a.protocol === protocol && header.action === k.FR_ACT_TO_TBL
      if (!isOurs || a.source === undefined) return []
      const { mark, markMask, suppressPrefixLength } = a
      return [
        present({
          priority: a.priority ?? 0,
          source: cidrOf(a.source, header.sourceLength),
          table: a.table ?? header.table,
          mark,
          markMask,
          suppressPrefixLength: suppressPrefixLength === ANY_LENGTH ? undefined : suppressPrefixLength,
          protocol,
        }),
      ]
    })

/** Who made a rule; undefined: it does not say. @throws MalformedError */
export const protocolOfRule = ({ payload }: Pick<Message, 'payload'>): number | undefined =>
  message.decode(payload).attributes.protocol

/** Nothing is suppressed. */
const ANY_LENGTH = 0xffffffff

/**
 * Adding says EEXIST where there is the same one. Deleting takes the first that has all that is given (ENOENT).
 * Equivalent to: ip rule add|delete from SOURCE …
 */
export function policyRuleRequest(verb: 'add' | 'delete', rule: PolicyRule): Request {
  const { priority, source, table, mark, markMask, suppressPrefixLength, protocol } = rule
  const family = familyOf(source)
  return {
    equivalent: () =>
      command(
        `ip -${family} rule ${verb} from`,
        source,
        ['fwmark', mark === undefined ? undefined : `${mark}/${markMask}`],
        ['table', table],
        ['suppress_prefixlength', suppressPrefixLength],
        ['priority', priority],
        ['protocol', protocol],
      ),
    type: verb === 'add' ? k.RTM_NEWRULE : k.RTM_DELRULE,
    flags: verb === 'add' ? k.NLM_F_CREATE | k.NLM_F_EXCL : 0,
    payload: [
      message.encode({
        header: {
          family: addressFamily(family),
          sourceLength: lengthOf(source),
          action: k.FR_ACT_TO_TBL,
        },
        attributes: {
          source: ipOf(source),
          priority,
          mark,
          suppressPrefixLength,
          table,
          markMask,
          protocol,
        },
      }),
    ],
  }
}
