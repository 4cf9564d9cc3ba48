/** Resolver settings: in the configuration, from the runtime, and in results. */

import { tryParseIp } from '../model/address.ts'
import type { Dns } from '../model/network.ts'
import type { Json } from './json.ts'

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
  const text = domain.text()
  return overlayDns(undefined, {
    nameservers: (mode === 'strict' ? readServers : readWords)(json.get('nameservers')),
    ...(text === undefined ? {} : { domain: checkWord(domain, text) }),
    search: readWords(json.get('search')),
    options: readWords(json.get('options')),
  })
}

/** `over` where it says something, else `under`; undefined where neither does. */
export function overlayDns(under: Dns | undefined, over: Dns | undefined): Dns | undefined {
  const domain = over?.domain ?? under?.domain
  const list = (key: 'nameservers' | 'search' | 'options') =>
    over !== undefined && over[key].length > 0 ? over[key] : (under?.[key] ?? [])
  const dns = { nameservers: list('nameservers'), search: list('search'), options: list('options') }
  const empty = domain === undefined && Object.values(dns).every(words => words.length === 0)
  return empty ? undefined : { ...dns, ...(domain === undefined ? {} : { domain }) }
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

const readWords = (json: Json): string[] =>
  json.list().map(item => checkWord(item, item.text() ?? item.refuse('is empty')))

// These words become lines of a resolv.conf: one that held a newline could add lines of its own.
function checkWord(json: Json, text: string): string {
  return /^[!-~]{1,255}$/.test(text) ? text : json.refuse('is not one printable word')
}
