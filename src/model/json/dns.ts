/** Resolver settings out of JSON, and laid over each other. */

import type { Dns } from '../network.ts'
import { present } from '../present.ts'
import type { Json } from './json.ts'

/** `dns` with the spec's keys. */
export function readDns(json: Json): Dns | undefined {
  return overlayDns(
    undefined,
    present({
      nameservers: readWords(json.get('nameservers')),
      domain: readWord(json.get('domain')),
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

/**
 * Servers, search domains, or options, as they are written: what they mean is for the runtime to know, which makes a
 * resolv.conf of them. An empty one says nothing.
 */
export const readWords = (json: Json): string[] => json.list().flatMap(item => readWord(item) ?? [])

// They become parts of lines: one that held a newline could add lines of its own.
function readWord(json: Json): string | undefined {
  const word = json.text()?.trim() ?? ''
  const isOneLine = word.length <= 255 && ![...word].some(letter => letter < ' ' || letter === '\x7f')
  return isOneLine ? word || undefined : json.refuse('is not on one line of at most 255 characters')
}
