/** Resolver settings out of JSON, and laid over each other. */

import { tryParseIp } from './address.ts'
import type { Json } from './json.ts'
import type { Dns } from './network.ts'
import { present } from './present.ts'

/**
 * `dns` with the spec's keys.
 * @param mode `lenient` for what another plugin has said already: its servers may be anything
 */
export function readDns(json: Json, mode: 'strict' | 'lenient' = 'strict'): Dns | undefined {
  const domain = json.get('domain')
  return overlayDns(
    undefined,
    present({
      nameservers: (mode === 'strict' ? readServers : readWords)(json.get('nameservers')),
      domain: domain.text() === undefined ? undefined : readWord(domain),
      search: readWords(json.get('search')),
      options: readWords(json.get('options')),
    }),
  )
}

/** `over` where it says something, else `under`; undefined where neither does. */
export function overlayDns(under: Dns | undefined, over: Dns | undefined): Dns | undefined {
  const domain = over?.domain ?? under?.domain
  const list = (key: 'nameservers' | 'search' | 'options') =>
    over !== undefined && over[key].length > 0 ? over[key] : (under?.[key] ?? [])
  const dns = { nameservers: list('nameservers'), search: list('search'), options: list('options') }
  const empty = domain === undefined && Object.values(dns).every(words => words.length === 0)
  return empty ? undefined : present({ ...dns, domain })
}

/** Addresses; a link-local server needs its interface: fe80::1%eth0. */
export function readServers(json: Json): string[] {
  return json.list().map(item => {
    const text = item.text() ?? item.refuse('is not an IP address')
    const [, address = '', zone = ''] = /^([^%]*)(%[A-Za-z0-9_.-]{1,15})?$/.exec(text) ?? []
    const ip = tryParseIp(address) ?? item.refuse('is not an IP address')
    return `${ip}${zone}`
  })
}

/** Search domains, or options. */
export const readWords = (json: Json): string[] => json.list().map(readWord)

// These words become lines of a resolv.conf: one that held a newline could add lines of its own.
function readWord(json: Json): string {
  const word = json.text() ?? ''
  return /^[!-~]{1,255}$/.test(word) ? word : json.refuse('is not one printable word')
}
