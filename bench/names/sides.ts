/**
 * Name servers, each with a bridge and a namespace of its own from which it is asked.
 *
 *     guest<n> ──veth── <bridge> 10.9<n>.0.1:53 ── the side ──▶ upstream 10.99.0.1:53 (dnsmasq)
 *
 * Ours is a network that tells names, and its guest is attached to it; the others are given a bridge made by hand.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Daemon } from '../daemon.ts'
import { measure } from '../meter/meter.ts'
import { ip } from '../sandbox.ts'
import { callOf, networkOf, UPSTREAM } from './calls.ts'

/** What upstream knows, and nobody else. */
export const ELSEWHERE = 'elsewhere.example'
/** How many containers have names. */
const CONTAINERS = 50

/** Of containers, asked in turn. */
export const NAMES = Array.from({ length: CONTAINERS }, (_, n) => `web${n}`)

const AARDVARK = ['/usr/lib/podman/aardvark-dns', '/usr/libexec/podman/aardvark-dns'].find(existsSync)

export interface Side {
  name: string
  guest: string
  server: string
  pid: number
  stop(): void
}

const dnsmasq = (...words: string[]): ChildProcess =>
  spawn(
    'dnsmasq',
    ['-k', '-C', '/dev/null', '--pid-file=', '--no-hosts', '--no-resolv', '--bind-interfaces', ...words],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )

/** Whom all of them ask for names of others. */
export function startUpstream(): () => void {
  ip('address', 'add', `${UPSTREAM}/32`, 'dev', 'lo')
  const server = dnsmasq(`--listen-address=${UPSTREAM}`, `--host-record=${ELSEWHERE},192.0.2.1`)
  return () => server.kill()
}

/** A bridge with a gateway, and a namespace with an address on it. */
function makeNetwork(n: number): { bridge: string; guest: string; server: string } {
  const [bridge, guest, server] = [`bridge${n}`, `guest${n}`, `10.9${n}.0.1`]
  ip('netns', 'add', guest)
  ip('link', 'add', bridge, 'type', 'bridge')
  ip('address', 'add', `${server}/16`, 'dev', bridge)
  ip('link', 'add', `v${n}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', guest)
  ip('link', 'set', `v${n}`, 'master', bridge, 'up')
  ip('link', 'set', bridge, 'up')
  for (const words of [
    ['link', 'set', 'eth0', 'up'],
    ['address', 'add', `10.9${n}.1.1/16`, 'dev', 'eth0'],
    ['route', 'add', 'default', 'via', server],
  ])
    ip('-n', guest, ...words)
  return { bridge, guest, server }
}

/** Addresses of containers that nobody starts: a name server does not look. */
const addresses = (n: number): [name: string, address: string][] =>
  NAMES.map((name, i) => [name, `10.9${n}.2.${i + 1}`])

export function dnsmasqSide(n: number): Side {
  const { bridge, guest, server } = makeNetwork(n)
  const records = addresses(n).map(([name, address]) => `--host-record=${name},${address}`)
  const child = dnsmasq(
    `--interface=${bridge}`,
    '--except-interface=lo',
    `--server=${UPSTREAM}`,
    '--cache-size=0',
    ...records,
  )
  return { name: 'dnsmasq', guest, server, pid: child.pid ?? 0, stop: () => child.kill() }
}

/** Of podman's networks. @returns undefined where it is not installed */
export async function aardvarkSide(n: number): Promise<Side | undefined> {
  if (AARDVARK === undefined) return undefined
  const { guest, server } = makeNetwork(n)
  const folder = '/run/aardvark'
  mkdirSync(folder)
  // A line of addresses to listen on; then container, IPv4, IPv6, names.
  const containers = [['guest', `10.9${n}.1.1`], ...addresses(n)]
  const lines = containers.map(
    ([name = '', address], i) => `${String(i).padStart(64, '0')} ${address}  ${name}`,
  )
  writeFileSync(`${folder}/bench`, `${[server, ...lines].join('\n')}\n`)
  execFileSync(AARDVARK, ['-c', folder, '-p', '53', 'run'], { stdio: 'ignore' })
  const pid = Number(await read(`${folder}/aardvark.pid`))
  return { name: 'aardvark-dns', guest, server, pid, stop: () => process.kill(pid) }
}

/** Containers are attached, since that is what gives names here. */
export function ourSide(n: number, { pid }: Daemon): Side {
  const network = networkOf(n, true)
  measure(
    ['guest', ...NAMES].map((name, i) => {
      const netns = `guest${n}${i === 0 ? '' : `-${i}`}`
      ip('netns', 'add', netns)
      return { steps: [callOf('ADD', name, netns, network)] }
    }),
  )
  return { name: 'tsnet', guest: `guest${n}`, server: `10.9${n}.0.1`, pid, stop: () => {} }
}

/** What a file says as soon as it says anything. */
async function read(path: string): Promise<string> {
  for (let turn = 0; turn < 100; turn++) {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
    if (text !== '') return text
    await sleep(20)
  }
  throw new Error(`nothing in ${path}`)
}
