/** Whom the host asks: `nameserver` lines of resolv.conf(5). */

import { type Ip, tryParseIp } from '../model/address/address.ts'

/** As the resolver reads them: the first three. One with an interface is left out: it means nothing elsewhere. */
const MOST = 3

export const hostServersIn = (text: string): Ip[] =>
  [...text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)]
    .flatMap(([, address = '']) => tryParseIp(address) ?? [])
    .slice(0, MOST)
