/**
 * Connections that the kernel remembers, forgotten when what they lead to changes.
 */

import type { Ip } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { PortMapping } from '../model/port-mapping.ts'

/**
 * Forgets every connection from or to these addresses, and UDP flows to these host ports.
 * Equivalent to: conntrack -D -s ADDRESS; conntrack -D -r ADDRESS; conntrack -D -p udp --dport PORT
 */
export function flushConntrack(addresses: Ip[], mappings: PortMapping[]): void {
  throw new TsnetError('internal', `not there yet: ${addresses} ${mappings.length}`)
}
