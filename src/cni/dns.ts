/** Resolver settings: in the configuration, from the runtime, and in results. */

import { tryParseIp } from '../model/address.ts'
import type { Json } from '../model/json.ts'
import type { Dns } from '../model/network.ts'
import { present } from '../model/present.ts'

/**
 * What overrules the IPAM's settings: the configuration's `dns`, key by key overruled by the runtime's.
 * @returns undefined where neither says anything
 */
export function readDnsSettings(config: Json): Dns | undefined {
  const runtime = config.get('runtimeConfig').get('dns')
  return overlayDns(readDns(config.get('dns')), {
    nameservers: readServers(runtime.get('servers')),
    search: readWords(runtime.get('searches')),
    options: readWords(runtime.get('options')),
  })
}

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

// A link-local server needs its interface: fe80::1%eth0.
function readServers(json: Json): string[] {
  return json.list().map(item => {
    const text = item.text() ?? item.refuse('is not an IP address')
    const [, address = '', zone = ''] = /^([^%]*)(%[A-Za-z0-9_.-]{1,15})?$/.exec(text) ?? []
    const ip = tryParseIp(address) ?? item.refuse('is not an IP address')
    return `${ip}${zone}`
  })
}

const readWords = (json: Json): string[] => json.list().map(readWord)

// These words become lines of a resolv.conf: one that held a newline could add lines of its own.
function readWord(json: Json): string {
  const word = json.text() ?? ''
  return /^[!-~]{1,255}$/.test(word) ? word : json.refuse('is not one printable word')
}
