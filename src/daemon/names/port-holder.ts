/** Who has the port that names are told at. */

import { DNS_PORT } from '../../dns/dns.ts'
import type { Ip } from '../../model/address/address.ts'
import { hasCode, messageOf, TsnetError } from '../../model/errors.ts'
import { holderOf } from '../../ports/probe.ts'

/** Why names cannot be told at an address: where another process has the port, with that process. */
export function withHolder(thrown: unknown, address: Ip): unknown {
  if (!hasCode(thrown, 'conflict')) return thrown
  const any = (address.includes(':') ? '::' : '0.0.0.0') as Ip
  const ips = [address, any, '::' as Ip]
  const holder = holderOf('udp', DNS_PORT, ips) ?? holderOf('tcp', DNS_PORT, ips)
  const by =
    holder === undefined
      ? ' by a process that is not seen from here'
      : ` by ${holder.name} (pid ${holder.pid})`
  return new TsnetError('conflict', `${messageOf(thrown)}${by}; have it listen elsewhere`)
}
