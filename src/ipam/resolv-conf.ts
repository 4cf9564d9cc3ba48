/**
 * resolv.conf(5) as a CNI result wants it.
 */

import { readGiven } from '../ffi/regular-file.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import { shownPath } from '../model/json/shown.ts'
import type { Dns } from '../model/network.ts'

/**
 * Reads a resolv.conf.
 * @throws TsnetError `io`
 */
export function readResolvConf(path: string): Dns {
  let text: string
  try {
    text = readGiven(path)
  } catch (cause) {
    throw new TsnetError('io', `ipam.resolvConf: cannot read ${shownPath(path)}: ${messageOf(cause)}`, {
      cause,
    })
  }
  return parseResolvConf(text)
}

/** The last `domain` wins; the others add up. Unknown keywords are left out, as the resolver does. */
export function parseResolvConf(text: string): Dns {
  const dns: Dns = { nameservers: [], search: [], options: [] }
  for (const line of text.split('\n')) {
    const [keyword, first, ...more] = line.trim().split(/\s+/)
    if (first === undefined) continue
    if (keyword === 'nameserver') dns.nameservers.push(first)
    else if (keyword === 'domain') dns.domain = first
    else if (keyword === 'search') dns.search.push(first, ...more)
    else if (keyword === 'options') dns.options.push(first, ...more)
  }
  return dns
}
