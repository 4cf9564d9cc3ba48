/**
 * Where containers try names.
 *
 *     client .2 ──────────── lan0 host ── br-box ──┬ boxed   has a list with names
 *     203.0.113.7 …  all names                     └ mate    its neighbour, that may reach everybody: a control
 *                         203.0.113.200, of the host itself
 *
 * Everybody answers at ports 80 and 81 of TCP, and at 80 and 92 of UDP.
 */

import type { Test } from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { Command } from './daemon.ts'
import { askTcp, askUdp, NameServer } from './dns.ts'
import type { Result } from './libcni.ts'
import { dataOf, NAMES } from './names.ts'
import type { Plugin } from './plugin.ts'
import { answering } from './reach.ts'
import { ALSO, EVERYBODY, METADATA } from './reach-site.ts'
import { ANSWERS, CLIENT, HOST, Scene } from './scene.ts'

/** Addresses of nobody's own network. */
export const far = (n: number) => ({ 4: `203.0.113.${n}`, 6: `2001:db8:113::${n}` })
/** The host's own, which is no private one. */
const OWN = far(200)
/** Of a subnet of the host's that is no private one: what is for its broadcast, or its routers, the host takes in. */
export const EDGE = { 4: '192.0.2.255', 6: '2001:db8:77::' } as const
const EDGE_HOST = ['192.0.2.1/24', '2001:db8:77::1/64'] as const
export const GATEWAY = { 4: '10.1.0.1', 6: 'fd1::1' } as const

export const ALLOW = [
  `registry.example.org:${ANSWERS}`,
  'Alias.Example.org.:80',
  'many.example.org:80-81',
  'many.example.org:81-90',
  '*.wild.example.org',
  'udp.example.org:90-95/udp',
  'near.example.org',
  'link.example.org',
  'metadata.example.org',
  'own.example.org',
  'mixed.example.org:80',
  'twice.example.org:80',
  'edge.example.org',
  ALSO[4],
  ALSO[6],
]

type Addresses = { 4: string; 6: string }

/** Whom names lead to; one may have another life. */
export const ADDRESSES: Record<string, Addresses[]> = {
  'registry.example.org': [far(7)],
  'other.example.org': [far(8)],
  'cdn.example.net': [far(9)],
  'many.example.org': [far(10), far(11), far(12)],
  'a.wild.example.org': [far(13)],
  'b.c.wild.example.org': [far(14)],
  'wild.example.org': [far(15)],
  'xwild.example.org': [far(16)],
  'udp.example.org': [far(17)],
  'near.example.org': [CLIENT],
  'also.example.org': [ALSO],
  'link.example.org': [{ 4: '169.254.1.1', 6: 'fe80::1' }],
  'metadata.example.org': [METADATA],
  'own.example.org': [OWN],
  'mixed.example.org': [CLIENT, far(18)],
  'twice.example.org': [far(7), far(7)],
  'edge.example.org': [EDGE],
}

const CHAINS: Record<string, string> = {
  'alias.example.org': 'step.example.net',
  'step.example.net': 'cdn.example.net',
}

/** What the name server says. @param ttl of all of it */
export function answersOf(asked: string, type: string, ttl: number) {
  const family = type === 'A' ? 4 : type === 'AAAA' ? 6 : undefined
  const links: { name: string; type: 'CNAME'; ttl: number; data: string }[] = []
  let name = asked.toLowerCase()
  for (let next = CHAINS[name]; next !== undefined; name = next, next = CHAINS[name])
    links.push({ name, type: 'CNAME', ttl, data: next })
  const found = family === undefined ? [] : (ADDRESSES[name] ?? []).map(each => each[family])
  return [...links, ...found.map(data => ({ name, type: type as 'A', ttl, data }))]
}

export interface NamesSite {
  scene: Scene
  tsnet: Command
  daemon: Running
  box: Plugin
  results: Record<'boxed' | 'mate', Result>
  server: NameServer
  /** Of what is told next. */
  ttl: { s: number }
}

export async function openNamesSite(t: Test, backend: NatBackend): Promise<NamesSite> {
  const scene = await Scene.open(backend, 'boxed', 'mate')
  t.teardown(() => scene.close())
  const { host, client } = scene
  client.address('eth0', `${ALSO[4]}/24`, `${ALSO[6]}/64`)
  for (const family of [4, 6] as const) {
    const [length, net] = family === 4 ? [32, '203.0.113.0/24'] : [128, '2001:db8:113::/48']
    host.route(net, CLIENT[family])
    host.route(`${METADATA[family]}/${length}`, CLIENT[family])
    host.address('lo', `${OWN[family]}/${length}`)
    const all = [METADATA, ...Array.from({ length: 12 }, (_, i) => far(7 + i))].map(each => each[family])
    for (const each of all) client.address('lo', `${each}/${length}`)
    for (const port of [92, 96]) client.listen('udp', port, far(17)[family])
    client.listen('udp', ANSWERS, far(7)[family])
  }
  host.address('lan0', ...EDGE_HOST)
  // The host speaks under it.
  client.route('2001:db8:77::/64', HOST[6])
  for (const place of [client, host]) place.listen('tcp', 81)
  host.listen('tcp', ANSWERS)
  const ttl = { s: 0 }
  const server = await NameServer.at(client, CLIENT[4], (name, type) => answersOf(name, type, ttl.s))
  t.teardown(() => server[Symbol.dispose]())
  const own = () => host.run('ip', '-6', 'route', 'show', 'table', 'local')
  await waitFor(async () => (await own()).stdout.includes('local 2001:db8:77::1 '), { what: 'the address' })
  await scene.remember()
  const tsnet = new Command(host, backend)
  const daemon = await tsnet.daemon()
  const box = scene.network('box', 1, { ...NAMES, egress: { allow: ALLOW } })
  const results = {
    boxed: await box.add(scene.get('boxed')),
    mate: await box.add(scene.get('mate'), {
      config: { runtimeConfig: { egress: [...EVERYBODY, 'dns', `${CLIENT[4]}`] } },
    }),
  }
  return { scene, tsnet, daemon, box, results, server, ttl }
}

/** Asks for a name, and then everybody whom it leads to. */
export interface NameAttempt {
  name: string
  transport: 'tcp' | 'udp'
  port: number
  family: 4 | 6
  /** The question's. */
  carrier?: 'tcp' | 'udp'
  /** Who answers, in the order of the addresses. */
  answers: ('client' | 'host' | 'nobody')[]
}

/** What there was instead, in words; empty where all went as it should. */
export async function surpriseOf(
  { scene }: Pick<NamesSite, 'scene'>,
  who: 'boxed' | 'mate',
  { name, transport, port, family, carrier = 'udp' }: NameAttempt,
  wanted: readonly string[],
): Promise<string[]> {
  const from = scene.get(who)
  const ask = carrier === 'udp' ? askUdp : askTcp
  const said = dataOf(await ask(from, { server: GATEWAY[family], name, type: family === 4 ? 'A' : 'AAAA' }))
  const addresses = (Array.isArray(said) ? said : []).filter(
    (each): each is string => typeof each === 'string' && /^[\d.]+$|:/.test(each),
  )
  const got = await Promise.all(addresses.map(each => answering(from, transport, each, port)))
  const what = `${who} ${name} IPv${family} ${transport} ${port} (${carrier})`
  return got.join() === wanted.join() ? [] : [`${what}: ${JSON.stringify(said)} answered by ${got.join()}`]
}
