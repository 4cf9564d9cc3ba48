/**
 * Where containers live in these tests: a host between a client, which knows nothing of the containers'
 * addresses, and a machine outside, which has no way back to them either.
 *
 *     client ── lan 192.0.2.0/24 ── host ── wan 198.51.100.0/24 ── outside
 *               2001:db8:1::/64             2001:db8:2::/64
 */

import type { Test } from 'tap'
import { diff, type Host, lab, type Snapshot, type World, waitFor } from 'tsnet/lab'

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

export type Family = 'v4' | 'v6'

export const families: readonly Family[] = ['v4', 'v6']

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

/**
 * Makes the host's firewall one that was there before us, as Docker leaves it: iptables' tables exist,
 * nothing is forwarded by default, and there is a rule of somebody else.
 */
async function closeFirewall(host: Host): Promise<void> {
  const documents = [
    ...['*raw', ':PREROUTING ACCEPT', ':OUTPUT ACCEPT', 'COMMIT'],
    ...['*nat', ':PREROUTING ACCEPT', ':INPUT ACCEPT', ':OUTPUT ACCEPT', ':POSTROUTING ACCEPT', ':OTHERS -'],
    ...['-A POSTROUTING -s 203.0.113.0/24 -j OTHERS', 'COMMIT'],
    ...['*filter', ':INPUT ACCEPT', ':FORWARD DROP', ':OUTPUT ACCEPT', 'COMMIT'],
  ].join('\n')
  for (const [command, text] of [
    ['iptables-restore', documents],
    ['ip6tables-restore', documents.replace('203.0.113.0/24', '2001:db8:3::/64')],
  ] as const) {
    await host.run(command, { stdin: `${text}\n` })
  }
}

/** Lets the host forward what nobody speaks against: what comes in is let through by no reference plugin. */
export async function forwardAll(host: Host): Promise<void> {
  for (const family of ['', '6']) await host.run(`ip${family}tables`, '-P', 'FORWARD', 'ACCEPT')
}

/** A site for one test, gone with it, whose host forwards nothing by itself. */
export async function siteFor(t: Test): Promise<Site> {
  const site = await openSite()
  t.teardown(() => site.world.end())
  await closeFirewall(site.host)
  return site
}

/**
 * What containers left behind: the difference of two snapshots, without what is not a container's. That is
 * the memory of a pool (where it stands, and its lock), the folder of libcni's cache, and multicast of the
 * kernel's own, which it tracks for ten minutes.
 * @param runtime matches what the runtime keeps for itself
 */
export const leftovers = (before: Snapshot, after: Snapshot, runtime: RegExp): string[] =>
  diff(before, after).filter(line => ![...NOBODYS, runtime].some(pattern => pattern.test(line)))

const NOBODYS = [
  /^file \/var\/lib\/cni\/(results|networks(\/\.tsnet)?(\/ports)?) appeared/,
  /^file \/var\/lib\/cni\/networks\/ports\/(lock|last_reserved_ip\.\d) appeared/,
  /^connection .* dst=224\.0\.0\.22 /,
]

/**
 * The page at a port of the host, as the client gets it. A server that has just been started may not listen
 * yet, so a refusal is no answer.
 */
export async function clientReads({ client }: Site, family: Family, port: number): Promise<string> {
  const url = `http://${inUrl(at.host[family])}:${port}/cgi-bin/who`
  const page = await waitFor(() => client.fetch(url), { what: `an answer from ${url}` })
  return page.body
}

/** An address as URLs have it. */
export const inUrl = (address: string): string => (address.includes(':') ? `[${address}]` : address)
