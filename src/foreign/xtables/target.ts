/**
 * Targets of xtables: what a rule does with a packet.
 *
 * Source: linux/netfilter/xt_*.h, linux/netfilter_ipv4/ipt_REJECT.h, linux/netfilter_ipv6/ip6t_REJECT.h.
 */

import type { Family } from '../../model/address/address.ts'
import type { Verdict } from '../rule.ts'
import type { Extension } from './match.ts'
import { Struct } from './struct.ts'

/** What a target does with a packet; undefined: it lets it go on. */
export interface Done {
  verdict: Verdict
  writes?: string[]
}

const REJECTS: Record<Family, readonly string[]> = {
  4: [
    'icmp-net-unreachable',
    'icmp-host-unreachable',
    'icmp-proto-unreachable',
    'icmp-port-unreachable',
    'icmp-echo-reply',
    'icmp-net-prohibited',
    'icmp-host-prohibited',
    'tcp-reset',
    'icmp-admin-prohibited',
  ],
  6: [
    'icmp6-no-route',
    'icmp6-adm-prohibited',
    'icmp6-not-neighbour',
    'icmp6-addr-unreachable',
    'icmp6-port-unreachable',
    'icmp6-echo-reply',
    'tcp-reset',
  ],
}

/** What a target comes to. What is not known here lets the packet go on, as most do. */
export function readTarget({ name, info }: Extension, family: Family): Done {
  switch (name) {
    case 'ACCEPT':
    // Who listens to a queue is asked, and says yes as a rule.
    case 'NFQUEUE':
    case 'QUEUE':
      return { verdict: { kind: 'accept' } }
    case 'RETURN':
      return { verdict: { kind: 'return' } }
    case 'DROP':
    case 'TARPIT':
    case 'STEAL':
      return { verdict: { kind: 'drop', text: name } }
    case 'REJECT': {
      const how = REJECTS[family][new Struct(info).u32(0)]
      return { verdict: { kind: 'drop', text: how === undefined ? name : `${name} --reject-with ${how}` } }
    }
    case 'MARK':
    case 'CONNMARK':
      return { verdict: { kind: 'continue' }, writes: ['meta mark', 'ct mark'] }
    default:
      return { verdict: { kind: 'continue' } }
  }
}
