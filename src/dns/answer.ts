/**
 * From the bytes of a question to those of its answer, or whom to ask.
 *
 *     no query                                         silence
 *     a name of a container                            its addresses; none of the family asked for: none, and no error
 *     an address of a network                          its names
 *     nobody's, below our domain or in our subnets     no such name
 *     any other                                        somebody else's to answer
 *
 * What has a name has all types of it: musl gives up a name whose AAAA is refused, though it has an A.
 */

import { type Ip, ipFromBytes } from '../model/address/address.ts'
import { addressData, type Carrier, type Data, pointerData, printAnswer, printRefusal } from './print.ts'
import { isRefused, type Query, rcode, readQuery } from './query.ts'
import { type } from './walk.ts'
import type { Client, Zone } from './zone.ts'

export interface Asker extends Client {
  carrier: Carrier
  /** The host itself: it is told our names, and sent nowhere else, or two resolvers could ask each other for ever. */
  isHost: boolean
}

export type Outcome =
  /** `lasts`: so are all to this question, but for its number, from whoever sees the same, while the zone is the same. */
  | { kind: 'answer'; bytes: Uint8Array; lasts: boolean }
  /** `upstream` empty: whom the host asks. */
  | { kind: 'forward'; query: Query; upstream: readonly Ip[] }

const IN = 1
const EDNS_VERSION = 0

/** @returns undefined: no answer */
export function answer(message: Uint8Array, asker: Asker, zone: Zone): Outcome | undefined {
  const query = readQuery(message)
  if (query === undefined) return undefined
  if (isRefused(query)) return { kind: 'answer', bytes: printRefusal(query), lasts: true }
  const say = (code: number, data: readonly Data[] = []): Outcome => ({
    kind: 'answer',
    bytes: printAnswer(query, asker.carrier, code, data),
    // Of several, another one comes first each time.
    lasts: data.length < 2,
  })
  if ((query.edns?.version ?? EDNS_VERSION) > EDNS_VERSION) return say(rcode.badVers)
  if (query.question.class !== IN) return say(rcode.refused)
  const found = look(query, asker, zone)
  if (found === 'nowhere') return say(rcode.nxDomain)
  if (found !== 'elsewhere') return say(rcode.noError, found)
  const upstream = asker.isHost ? 'stranger' : zone.upstreamOf(asker)
  if (upstream === 'stranger') return say(rcode.refused)
  return upstream === 'nobody' ? say(rcode.nxDomain) : { kind: 'forward', query, upstream }
}

function look({ question }: Query, asker: Asker, zone: Zone): Data[] | 'nowhere' | 'elsewhere' {
  const { name } = question
  if (name === undefined || name === '') return 'elsewhere'
  const isWanted = (data: Data): boolean => question.type === data.type || question.type === type.ANY
  const ip = name.endsWith('.arpa') ? addressIn(name) : undefined
  const found = ip === undefined ? zone.find(asker, name) : zone.findNames(asker, ip)
  if (found.kind !== 'here') return found.kind
  const data = found.values.map(value => (ip === undefined ? addressData(value as Ip) : pointerData(value)))
  return data.filter(isWanted)
}

/** The address that a name asks the name of: RFC 1035, 3.5; RFC 3596, 2.5. */
export function addressIn(name: string): Ip | undefined {
  const [, four] = /^((?:(?:0|[1-9]\d{0,2})\.){4})in-addr\.arpa$/.exec(name) ?? []
  if (four !== undefined) {
    const bytes = four.split('.').slice(0, 4).toReversed().map(Number)
    return bytes.every(byte => byte <= 255) ? ipFromBytes(Uint8Array.from(bytes)) : undefined
  }
  const [, six] = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name) ?? []
  if (six === undefined) return undefined
  return ipFromBytes(Uint8Array.from(Buffer.from(six.split('.').toReversed().join(''), 'hex')))
}
