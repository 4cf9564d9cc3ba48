/**
 *     client eth0 ───────── lan0 host br0 ───────── eth0 web
 *      10.78.0.2       10.78.0.1   10.77.0.1      10.77.0.2
 *
 * A web server, iperf3 and a UDP sink in `web`; the proxies on the host, each on ports of its own.
 *
 * All places send with reno. A host's default may be BBR, whose pacing then decides how fast a cable within
 * the machine is; and a namespace may choose no other than the host's default and reno.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { furnishSandbox, ip } from '../sandbox.ts'
import { isInstalled } from '../versions.ts'

export const WEB = '10.77.0.2'
export const HOST = '10.78.0.1'
/** In `web`. */
export const PORTS = { http: 80, iperf: 5201, udp: 5300 }

export const OURS = resolve('dist/bin/tsnet')
const RENO = 'echo reno >/proc/sys/net/ipv4/tcp_congestion_control'
const NGINX = `
worker_processes 1; pid /run/nginx/pid; error_log /dev/null; daemon off; worker_rlimit_nofile 20000;
events { worker_connections 10000; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path /run/nginx/a; proxy_temp_path /run/nginx/b; fastcgi_temp_path /run/nginx/c;
  uwsgi_temp_path /run/nginx/d; scgi_temp_path /run/nginx/e;
  server { listen 80 backlog=4096; location / { return 200 "hello from the container\\n"; } }
}`
const HAPROXY = `
global
  maxpipes 200
  maxconn 9400
defaults
  mode tcp
  option splice-auto
  maxconn 9400
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen http
  bind :::8300 v4v6
  server web ${WEB}:${PORTS.http}
listen iperf
  bind :::8301 v4v6
  server web ${WEB}:${PORTS.iperf}
`

/** Somebody between client and server; `direct` is nobody. */
export interface Side {
  name: string
  ip: string
  http: number
  iperf: number
  udp?: number
  /** Its processes; none where it has one for each connection. */
  pids: number[]
  /** Where its clients are; absent: in `client`. */
  from?: 'client' | 'host'
}

interface Peer extends Omit<Side, 'ip' | 'pids'> {
  /** @returns what stays for all connections */
  start(): ChildProcess[]
}

const PEERS: readonly Peer[] = [
  {
    name: 'docker-proxy',
    http: 8200,
    iperf: 8201,
    udp: 8202,
    start: () => [
      ...dockerProxies('tcp', 8200, PORTS.http),
      ...dockerProxies('tcp', 8201, PORTS.iperf),
      ...dockerProxies('udp', 8202, PORTS.udp),
    ],
  },
  {
    name: 'haproxy',
    http: 8300,
    iperf: 8301,
    start: () => [start(undefined, 'haproxy', '-db', '-f', '/run/haproxy.cfg')],
  },
  { name: 'socat', http: 8400, iperf: 8401, start: startSocat },
]

const children: ChildProcess[] = []

/** Starts a program in a namespace; it ends with `endScene`. */
export function start(place: string | undefined, program: string, ...args: string[]): ChildProcess {
  const words = place === undefined ? [program, ...args] : ['ip', 'netns', 'exec', place, program, ...args]
  const [first = '', ...rest] = words
  const { TSNET_DAEMON: _, ...env } = process.env
  const child = spawn(first, rest, { stdio: ['pipe', 'pipe', 'ignore', 'pipe'], env })
  children.push(child)
  return child
}

/** Runs a program in a namespace, or on the host, to its end. @returns what it printed */
export function run(place: string, program: string, ...args: string[]): string {
  const [first = '', ...rest] =
    place === 'host' ? [program, ...args] : ['ip', 'netns', 'exec', place, program, ...args]
  return execFileSync(first, rest, { encoding: 'utf8', stdio: 'pipe' })
}

/** The next line that a program prints. */
export async function lineOf(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no pipe')
  const lines = createInterface({ input: child.stdout })
  const [line] = await once(lines, 'line')
  lines.close()
  return line
}

export async function openScene(): Promise<{ sides: Side[]; sink: ChildProcess }> {
  const sink = openPlaces()
  const sides = [
    ...PEERS.filter(({ name }) => isInstalled(name)).map(({ start, ...side }) => ({
      ...side,
      ip: HOST,
      pids: pidsOf(start()),
    })),
    { name: 'tsnet', ip: HOST, http: 8100, iperf: 8101, udp: 8102, pids: [await serveOurs()] },
    { name: 'direct', ip: WEB, ...PORTS, pids: [] },
  ]
  publish('proxy', `8100:${PORTS.http}`, `8101:${PORTS.iperf}`, `8102:${PORTS.udp}/udp`)
  await settled(sides)
  return { sink, sides }
}

/** Namespaces, links and servers. @returns the UDP sink */
export function openPlaces(): ChildProcess {
  furnishSandbox()
  execFileSync('sh', ['-c', RENO])
  for (const name of ['web', 'client']) {
    ip('netns', 'add', name)
    run(name, 'sh', '-c', RENO)
    ip('-n', name, 'link', 'set', 'lo', 'up')
  }
  ip('link', 'add', 'br0', 'type', 'bridge')
  ip('address', 'add', '10.77.0.1/24', 'dev', 'br0')
  ip('link', 'set', 'br0', 'up')
  wire('web0', 'web', `${WEB}/24`, '10.77.0.1')
  ip('link', 'set', 'web0', 'master', 'br0')
  wire('lan0', 'client', '10.78.0.2/24', HOST)
  ip('address', 'add', `${HOST}/24`, 'dev', 'lan0')
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')

  mkdirSync('/run/nginx')
  writeFileSync('/run/nginx/conf', NGINX)
  writeFileSync('/run/haproxy.cfg', HAPROXY)
  start('web', 'nginx', '-e', '/dev/null', '-c', '/run/nginx/conf')
  start('web', 'iperf3', '-s')
  return start('web', process.execPath, program('udp-load'), 'sink', String(PORTS.udp))
}

export function endScene(): void {
  for (const child of children) child.kill('SIGKILL')
  for (const place of ['web', 'client']) {
    for (const pid of run(place, 'ip', 'netns', 'pids', place).split('\n')) {
      if (pid !== '' && Number(pid) !== process.pid && existsSync(`/proc/${pid}`)) kill(Number(pid))
    }
  }
}

export const program = (name: string): string => resolve(`dist/lib/bench/proxy/${name}.js`)

/** Memory of processes in MB, as top has it. */
export function memoryOf(pids: readonly number[]): number {
  const kilobytes = pids.map(pid =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]),
  )
  return kilobytes.reduce((sum, each) => sum + each, 0) / 1000
}

/** Processor time that processes have spent, in ms. */
export const cpuMsOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => {
    // utime and stime of proc_pid_stat(5), in hundredths of a second.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return sum + (Number(fields[11]) + Number(fields[12])) * 10
  }, 0)

/** How long processors have been idle, all together, in ms. */
export const idleMs = (): number => Number(readFileSync('/proc/stat', 'utf8').split(/\s+/, 5)[4]) * 10

export const descriptorsOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0)

function wire(here: string, place: string, address: string, gateway: string): void {
  ip('link', 'add', here, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', place)
  ip('link', 'set', here, 'up')
  ip('-n', place, 'address', 'add', address, 'dev', 'eth0')
  ip('-n', place, 'link', 'set', 'eth0', 'up')
  ip('-n', place, 'route', 'add', 'default', 'via', gateway)
}

/** What dockerd starts for a published port. Each reports on descriptor 3. */
export function dockerProxies(protocol: string, hostPort: number, port: number): ChildProcess[] {
  const target = ['-container-ip', WEB, '-container-port', String(port)]
  return ['0.0.0.0', '::'].map(hostIp => {
    const host = ['-host-ip', hostIp, '-host-port', String(hostPort)]
    return start(undefined, 'docker-proxy', '-proto', protocol, ...host, ...target)
  })
}

/** It has a process for each connection, of its own. */
function startSocat(): ChildProcess[] {
  for (const [from, to] of [
    [8400, PORTS.http],
    [8401, PORTS.iperf],
  ])
    start(undefined, 'socat', `TCP6-LISTEN:${from},ipv6only=0,fork,reuseaddr,backlog=128`, `TCP:${WEB}:${to}`)
  return []
}

export const startOurs = (env: Record<string, string> = {}): ChildProcess =>
  start(undefined, 'env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), OURS, 'daemon')

/** Our daemon. @returns its process, when it is ready */
export async function serveOurs(): Promise<number> {
  const daemon = startOurs()
  await lineOf(daemon)
  return daemon.pid ?? 0
}

/** Ports of `web` by our daemon. */
export function publish(mode: string, ...specs: string[]): void {
  const { TSNET_DAEMON: _, ...env } = process.env
  execFileSync(OURS, ['publish', '--mode', mode, ...specs, 'netns:web'], { env, stdio: 'pipe' })
}

export const pidsOf = (started: ChildProcess[]): number[] => started.flatMap(({ pid }) => pid ?? [])

/** Waits until everybody answers. */
export async function settled(sides: readonly Side[]): Promise<void> {
  const urls = sides.map(({ ip, http }) => `${ip}:${http}`)
  for (let tries = 100; tries > 0; tries--) {
    try {
      for (const { ip, http, from = 'client' } of sides)
        run(from, 'curl', '-sf', '-m', '1', `http://${ip}:${http}/`)
      return
    } catch (thrown) {
      if (tries === 1) throw thrown
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
  throw new Error(`no answer from all of ${urls.join(', ')}`)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ended by itself
  }
}
