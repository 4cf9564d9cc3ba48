/**
 * Ports published on 127.0.0.0/8: packets with a loopback address leave over the bridge and come back.
 *
 * The kernel lets them only where `route_localnet` is on, and then takes packets to 127.0.0.1 from whoever
 * is on that bridge. So it is on only while somebody on that bridge is published so, after the rule that
 * drops such packets arriving from anywhere but `lo`, and off before that rule goes.
 *
 * It is not counted who turned it on: the value of a new bridge is what it goes back to.
 */

import { messageOf, TsnetError } from '../model/errors.ts'
import { readSysctl, writeSysctl } from '../netns/sysctl.ts'

const setting = (bridge: string): string => `net/ipv4/conf/${bridge}/route_localnet`

/** @throws TsnetError `kernel` */
export function routeLoopback(bridge: string): void {
  try {
    if (writeSysctl(setting(bridge), '1') !== undefined) return
  } catch (cause) {
    throw new TsnetError('kernel', `${setting(bridge)} cannot be turned on: ${messageOf(cause)}`, {
      details: 'without it no port can be published on 127.0.0.0/8; publish on another address',
      cause,
    })
  }
  throw new TsnetError('kernel', `bridge ${bridge} is not there: no port can be published on 127.0.0.0/8`)
}

/** Takes it back on bridges where nobody is published so any more. `inUse` looks anew each time. */
export async function unrouteLoopback(
  bridges: Iterable<string>,
  inUse: () => Promise<Set<string>>,
): Promise<void> {
  const used = await inUse()
  const unused = [...bridges].filter(bridge => !used.has(bridge))
  if (unused.length === 0) return
  const fresh = readSysctl('net/ipv4/conf/default/route_localnet') ?? '0'
  for (const bridge of unused) writeSysctl(setting(bridge), fresh)
  // Somebody who added rules meanwhile turned it on before we turned it off.
  const again = await inUse()
  for (const bridge of unused.filter(name => again.has(name))) writeSysctl(setting(bridge), '1')
}

export const isLoopbackRouted = (bridge: string): boolean => readSysctl(setting(bridge)) === '1'
