/**
 * Where containers live in these tests: a host between a client, which knows nothing of the containers'
 * addresses, and a machine outside, which has no way back to them either.
 *
 *     client ── lan 192.0.2.0/24 ── host ── wan 198.51.100.0/24 ── outside
 *               2001:db8:1::/64             2001:db8:2::/64
 */

import { type Host, lab, type World } from '../../src/lab/lab.ts'

export interface Site {
  world: World
  host: Host
  client: Host
  outside: Host
}

/** The host's and its neighbours' addresses. */
export const at = {
  client: { v4: '192.0.2.2', v6: '2001:db8:1::2' },
  host: { v4: '192.0.2.1', v6: '2001:db8:1::1' },
  hostOutside: { v4: '198.51.100.1', v6: '2001:db8:2::1' },
  outside: { v4: '198.51.100.2', v6: '2001:db8:2::2' },
} as const

export const families = ['v4', 'v6'] as const

/** Port of the echo server outside. */
export const ECHO = 7000

export async function openSite(): Promise<Site> {
  const world = await lab()
  const [host, client, outside] = await Promise.all([
    world.host('host'),
    world.host('client'),
    world.host('outside'),
  ])
  world.wire(
    [host, 'lan', '192.0.2.1/24', '2001:db8:1::1/64'],
    [client, 'eth0', '192.0.2.2/24', '2001:db8:1::2/64'],
  )
  world.wire(
    [host, 'wan', '198.51.100.1/24', '2001:db8:2::1/64'],
    [outside, 'eth0', '198.51.100.2/24', '2001:db8:2::2/64'],
  )
  host.route('default', at.outside.v4)
  host.route('default', at.outside.v6)
  outside.listen('tcp', ECHO)
  return { world, host, client, outside }
}

/** An address as URLs have it. */
export const inUrl = (address: string): string => (address.includes(':') ? `[${address}]` : address)
