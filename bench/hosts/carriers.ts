/**
 * What the carriers lose: one TCP stream between two hosts, ours and the same path built by hand with `ip` and `bridge`,
 * on the same wire and in turn.
 *
 *     container ── front0 ── device of VXLAN, or a route ── eth0 ── sw0 ── the other host, the same back
 *     a host's address in the network ── a route ── …       the underlay itself has only what lies behind
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { resolve } from 'node:path'
import type { Carrier } from '../../src/model/hosts/hosts.ts'
import type { Line } from '../report.ts'
import { ip } from '../sandbox.ts'
import { rotate, summarize } from '../statistics.ts'
import { addHost, type BenchHost, end, networkOf, onWire, routesOn, said, startOn, until } from './site.ts'

const CARRIERS = ['vxlan', 'routes'] as const
const TSNET = resolve('dist/bin/tsnet')
const SECONDS = '2'
const PORT = '5201'
/** Of the first two hosts, which have daemons, and of those that are built by hand. */
const FIRST = 31
/** What is held against what, and what share of it has to arrive. */
const AT_LEAST = { vxlan: 0.95, routes: 0.98 }

/** Where a stream begins, and the address at which it ends. */
interface Path {
  by: string
  from: string
  to: string
  /** By which address it begins. */
  source?: string
  rates: number[]
}

export async function measureCarriers(rounds: number): Promise<{ lines: Line[]; notes: string[] }> {
  const hosts = ['left', 'right'].map((name, i) => addHost(name, FIRST + i, '/carriers', CARRIERS))
  const servers: ChildProcess[] = []
  try {
    for (const host of hosts) await startOn(host)
    for (const host of hosts) await until(() => routesOn(host) >= CARRIERS.length, 'hosts know each other')
    const pairs = [
      ...CARRIERS.map(carrier => ({ work: workOf(carrier), carrier, ...containersOf(carrier, hosts) })),
      {
        work: 'between addresses of hosts in the network, routes',
        carrier: 'routes' as const,
        ...ownOf(hosts),
      },
    ]
    for (const { ours, peer } of pairs)
      for (const { to } of [ours, peer]) servers.push(await serve(namespaceOf(to), to))
    for (let round = 0; round < rounds; round++)
      for (const { ours, peer } of pairs) for (const path of rotate([ours, peer], round)) stream(path)
    const lines = pairs.flatMap(({ work, carrier, ours, peer }): Line[] => {
      const [own, other] = [summarize(ours.rates), summarize(peer.rates)]
      const line = { work, unit: 'Gbit/s' }
      return [
        { ...line, by: peer.by, summary: other },
        {
          ...line,
          by: ours.by,
          summary: own,
          ratio: own.median / other.median,
          atLeast: AT_LEAST[carrier],
        },
      ]
    })
    return { lines, notes: [`carriers: one TCP stream of ${SECONDS} s by iperf3, ${rounds} in turn`] }
  } finally {
    for (const server of servers) await end(server)
    for (const host of hosts) await host.daemon?.stop()
  }
}

const workOf = (carrier: Carrier): string => `between containers, ${carrier}`

/** By address, the namespace that has it. */
const places = new Map<string, string>()
const namespaceOf = (address: string): string => places.get(address) ?? ''

/** A container on each host, by us, and on each of two others, by hand. */
function containersOf(carrier: Carrier, hosts: readonly BenchHost[]): { ours: Path; peer: Path } {
  const addresses = hosts.map(host => {
    const name = `${carrier}-${host.name}`
    ip('netns', 'add', name)
    const env = Object.entries(host.env).map(entry => entry.join('='))
    const line = said(host, 'env', ...env, TSNET, 'attach', networkOf(carrier), `netns:${name}`)
    const [, address = ''] = /(\d+\.\d+\.\d+\.\d+)\//.exec(line) ?? []
    places.set(address, name)
    return address
  })
  const byHand = handBuilt(carrier)
  return {
    ours: { by: 'tsnet', from: `${carrier}-left`, to: addresses[1] ?? '', rates: [] },
    peer: { by: 'by hand', from: byHand.from, to: byHand.to, rates: [] },
  }
}

/** The hosts' own addresses: what `routes` adds to the underlay is a route. */
function ownOf(hosts: readonly BenchHost[]): { ours: Path; peer: Path } {
  const [left, right] = hosts as [BenchHost, BenchHost]
  const inNetwork = (host: BenchHost): string =>
    /inet (10\.2[12]\d\.\d+\.0)\/32/.exec(said(host, 'ip', '-4', 'address', 'show', 'dev', 'lo'))?.[1] ?? ''
  const to = inNetwork(right)
  places.set(to, right.name)
  places.set(right.address, right.name)
  return {
    ours: { by: 'tsnet', from: left.name, to, source: inNetwork(left), rates: [] },
    peer: { by: 'the underlay', from: left.name, to: right.address, rates: [] },
  }
}

/** Two hosts with a bridge and a container each, as `routes` and `vxlan` have them. */
function handBuilt(carrier: Carrier): { from: string; to: string } {
  const octet = carrier === 'vxlan' ? 230 : 231
  const all = [0, 1].map(i => ({
    name: `hand-${carrier}${i}`,
    underlay: `192.168.77.${FIRST + 10 + octet - 230 + 2 * i}`,
    prefix: `10.${octet}.${i + 1}`,
    mac: `06:00:00:00:00:0${i + 1}`,
  }))
  for (const { name, underlay, prefix, mac } of all) {
    onWire(name, underlay, `h${underlay.split('.')[3]}`)
    const at = (...words: string[]) => ip('-n', name, ...words)
    said({ netns: `/run/netns/${name}` }, 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
    at('link', 'add', 'br0', 'type', 'bridge')
    at('address', 'add', `${prefix}.1/24`, 'dev', 'br0')
    at('link', 'set', 'br0', 'up')
    const guest = `${name}c`
    ip('netns', 'add', guest)
    at('link', 'add', 'p0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', guest)
    at('link', 'set', 'p0', 'master', 'br0', 'up')
    ip('-n', guest, 'address', 'add', `${prefix}.2/24`, 'dev', 'eth0')
    ip('-n', guest, 'link', 'set', 'eth0', 'up')
    ip('-n', guest, 'route', 'add', 'default', 'via', `${prefix}.1`)
    if (carrier === 'routes') continue
    const vxlan = ['type', 'vxlan', 'id', '99', 'dstport', '4790', 'local', underlay, 'nolearning']
    at('link', 'add', 'vx0', 'address', mac, 'mtu', '1450', ...vxlan)
    at('address', 'add', `${prefix}.0/32`, 'dev', 'vx0')
    at('link', 'set', 'vx0', 'up')
    ip('-n', guest, 'link', 'set', 'eth0', 'mtu', '1450')
  }
  for (const [i, { name }] of all.entries()) {
    const { prefix, underlay, mac } = all[1 - i] as (typeof all)[number]
    const at = (...words: string[]) => ip('-n', name, ...words)
    if (carrier === 'routes') {
      at('route', 'add', `${prefix}.0/24`, 'via', underlay)
      continue
    }
    at('neighbour', 'add', `${prefix}.0`, 'lladdr', mac, 'dev', 'vx0', 'nud', 'permanent')
    at('route', 'add', `${prefix}.0/24`, 'via', `${prefix}.0`, 'dev', 'vx0', 'onlink')
    said({ netns: `/run/netns/${name}` }, 'bridge', 'fdb', 'add', mac, 'dev', 'vx0', 'dst', underlay)
  }
  const to = `${all[1]?.prefix}.2`
  places.set(to, `${all[1]?.name}c`)
  return { from: `${all[0]?.name}c`, to }
}

async function serve(name: string, address: string): Promise<ChildProcess> {
  const server = spawn('ip', ['netns', 'exec', name, 'iperf3', '-s', '-B', address, '-p', PORT], {
    stdio: 'ignore',
  })
  const at = { netns: `/run/netns/${name}` }
  await until(() => said(at, 'ss', '-Hltn', `src ${address}:${PORT}`).includes(PORT), 'iperf3 listens')
  return server
}

function stream({ from, to, source, rates }: Path): void {
  const bound = source === undefined ? [] : ['-B', source]
  const words = ['iperf3', '-c', to, '-p', PORT, '-t', SECONDS, '-J', ...bound]
  const { end } = JSON.parse(said({ netns: `/run/netns/${from}` }, ...words))
  rates.push(end.sum_received.bits_per_second / 1e9)
}
