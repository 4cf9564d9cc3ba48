/**
 * One host of the scale benchmark: a process in namespaces of its own that fills itself with attachments,
 * leases and published ports, and then does one piece of work at a time when its parent asks for it.
 *
 * Attachments are real: CNI ADDs by our own code, in this process to save the start of a thousand others.
 * Each container is on as many networks as it takes, as a pod of a cluster with several networks is, since a
 * network namespace costs more than an interface. What is measured runs as a runtime runs it: dist/bin/tsnet.
 */

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { answer } from '../../src/cni/cni.ts'
import { connectControl, withinFor } from '../../src/control/client.ts'
import { leaseText } from '../../src/ipam/store.ts'
import { type NatBackend, ownerTag } from '../../src/model/network.ts'
import * as operations from '../../src/network/network.ts'
import { furnishSandbox, ip } from '../sandbox.ts'
import { counting, totalIn } from '../system-calls.ts'

/** What a host is filled with. */
export interface Size {
  /** Addresses taken in the network in which the measured container comes and goes. */
  leases: number
  attachments: number
  /** Half of them by attachments, half by `tsnet publish`. */
  ports: number
  networks: number
}

/** Which system calls to count: those of sockets are the same each time, others vary a little with threads. */
export type Count = 'all' | 'network'

/** What a parent asks for. */
export type Order =
  | { do: 'fill'; size: Size; backend: NatBackend }
  | { do: 'call'; command: 'ADD' | 'CHECK' | 'DEL' | 'GC' | 'STATUS'; daemon: boolean; count?: Count }
  // As CRI-O does at its start, with all whom it knows, and every five seconds: of the last network, with the daemon.
  | { do: 'cri-o'; command: 'GC' | 'STATUS'; without?: string }
  | { do: 'start-daemon' | 'stop-daemon' | 'idle' }
  | { do: 'command'; words: string[]; daemon: boolean; count?: Count }

/** Milliseconds, system calls where they were to be counted, and what else there was to see; of a command what it printed. */
export type Reply = { ms: number; calls?: number; memoryMib?: number; stdout?: string } | { error: string }

const EXECUTABLE = resolve('dist/bin/tsnet')
const PODS = 50
const FIRST_PORT = 20_000
const PUBLISHED_AT_ONCE = 100
/**
 * Ports of one publication. Each change of iptables' rules has the kernel walk all of the table that it can reach, so
 * that thousands of publications would take an hour to make.
 */
const PORTS_OF_ONE: Record<NatBackend, number> = { nftables: 1, iptables: 50 }
const ATTACHED_AT_ONCE = 10
const FIRST_LEASE = 1_000

let size: Size = { leases: 0, attachments: 0, ports: 0, networks: 0 }
let backend: NatBackend = 'nftables'
let daemon: ChildProcess | undefined

const orders: { [Kind in Order['do']]: (order: Extract<Order, { do: Kind }>) => Promise<Reply> } = {
  fill: async order => {
    const began = performance.now()
    ;({ size, backend } = order)
    await fill()
    return { ms: performance.now() - began }
  },
  call: async ({ command, daemon, count }) => {
    const env = { ...callEnvironment(command, 'probe', 'eth0', '/run/netns/probe'), ...daemonEnv(daemon) }
    const input = configOf(0, command === 'GC' ? { 'cni.dev/valid-attachments': everyone() } : probe(command))
    const { ms, calls, stdout } = run([], { env, input, count })
    if (command === 'ADD') previous = JSON.parse(stdout) as object
    return { ms, ...(calls !== undefined && { calls }) }
  },
  command: async ({ words, daemon, count }) => {
    return run(words, { env: daemonEnv(daemon), count })
  },
  'cri-o': async ({ command, without }) => {
    const env = { CNI_COMMAND: command, CNI_PATH: '/opt/cni/bin', ...daemonEnv(true) }
    const all = Array.from({ length: size.attachments }, (_, index) => attachmentName(index))
    const valid = all
      .filter(({ containerId }) => containerId !== without)
      .map(({ containerId, ifname }) => ({ containerID: containerId, ifname }))
    const more = command === 'GC' ? { 'cni.dev/valid-attachments': valid } : {}
    const { ms } = run([], { env, input: configOf(size.networks - 1, more), count: undefined })
    return { ms }
  },
  'start-daemon': async () => {
    const began = performance.now()
    await startDaemon()
    return { ms: performance.now() - began, memoryMib: memoryMib() }
  },
  'stop-daemon': async () => {
    const began = performance.now()
    await stopDaemon()
    return { ms: performance.now() - began }
  },
  // What the daemon uses of a processor while nothing happens.
  idle: async () => {
    const before = cpuMs()
    await new Promise(done => setTimeout(done, IDLE_MS))
    return { ms: ((cpuMs() - before) * 1000) / IDLE_MS, memoryMib: memoryMib() }
  },
}

const IDLE_MS = 4_000

let previous: object | undefined

async function fill(): Promise<void> {
  furnishSandbox()
  for (let pod = 0; pod < Math.min(PODS, size.attachments); pod++) ip('netns', 'add', `pod${pod}`)
  ip('netns', 'add', 'probe')
  for (let first = 0; first < size.attachments; first += ATTACHED_AT_ONCE) {
    const count = Math.min(ATTACHED_AT_ONCE, size.attachments - first)
    await Promise.all(Array.from({ length: count }, (_, i) => attachOne(first + i)))
  }
  writeLeases()
  await startDaemon()
  const client = await connectControl()
  const half = Math.ceil(size.ports / 2)
  const all = Array.from({ length: Math.ceil(half / PORTS_OF_ONE[backend]) }, (_, i) => rangeFrom(i, half))
  for (let first = 0; first < all.length; first += PUBLISHED_AT_ONCE) {
    const ports = all.slice(first, first + PUBLISHED_AT_ONCE)
    await client?.ask('publish', { containers: ['netns:pod0'], ports }, withinFor(ports.length))
  }
  client?.[Symbol.dispose]()
  await stopDaemon()
}

/** Of the ports that `tsnet publish` publishes, those of one publication. */
function rangeFrom(index: number, count: number): string {
  const each = PORTS_OF_ONE[backend]
  const first = FIRST_PORT + size.ports + index * each
  const more = Math.min(each, count - index * each) - 1
  return more === 0 ? `${first}:80` : `${first}-${first + more}:80-${80 + more}`
}

/** As many networks as there are, one interface of a pod on each. */
async function attachOne(index: number): Promise<void> {
  const pods = Math.min(PODS, size.attachments)
  const network = Math.floor(index / pods) % size.networks
  const { containerId, ifname } = attachmentName(index)
  const hasPort = index < Math.floor(size.ports / 2)
  const { stdout, exitCode } = await answer({
    env: callEnvironment('ADD', containerId, ifname, `/run/netns/${containerId}`),
    calledAs: 'tsnet',
    readStdin: () =>
      configOf(network, {
        runtimeConfig: {
          portMappings: hasPort ? [{ hostPort: FIRST_PORT + index, containerPort: 80, protocol: 'tcp' }] : [],
        },
      }),
    operations: async () => operations,
  })
  if (exitCode !== 0) throw new Error(stdout)
}

function attachmentName(index: number): { containerId: string; ifname: string } {
  const pods = Math.min(PODS, size.attachments)
  return { containerId: `pod${index % pods}`, ifname: `eth${Math.floor(index / pods)}` }
}

/** Leases of containers that need nothing else, in the network of the measured one, as src/ipam writes them. */
function writeLeases(): void {
  const network = networkName(0)
  const folder = `/var/lib/cni/networks/${network}`
  const records = `/var/lib/cni/networks/.tsnet/${network}`
  let last = ''
  for (let index = size.attachments; index < size.leases; index++) {
    const key = { network, containerId: `lease${index}`, ifname: 'eth0' }
    // Those of the attachments are at the beginning of the subnet.
    const number = index + FIRST_LEASE
    last = `10.0.${number >> 8}.${number & 255}`
    writeFileSync(`${records}/${ownerTag(key)}`, JSON.stringify({ ...key, bootId, addresses: [last] }))
    writeFileSync(`${folder}/${last}`, leaseText(key), { mode: 0o600 })
  }
  if (last !== '') writeFileSync(`${folder}/last_reserved_ip.0`, last)
}

const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()

const networkName = (network: number): string => `net${network}`
const subnetOf = (network: number): string => `10.${network}.0.0/16`

const configOf = (network: number, more: object): string =>
  JSON.stringify({
    cniVersion: '1.1.0',
    name: networkName(network),
    type: 'tsnet',
    bridge: `br${network}`,
    isGateway: true,
    ipMasq: true,
    ipam: { type: 'host-local', ranges: [[{ subnet: subnetOf(network) }]] },
    ...more,
  })

const probe = (command: string): object => ({
  runtimeConfig: { portMappings: [{ hostPort: 10_080, containerPort: 80, protocol: 'tcp' }] },
  ...(command !== 'ADD' && previous !== undefined && { prevResult: previous }),
})

/** All that live in the first network, so that GC finds nothing to take away. */
function everyone(): object[] {
  const pods = Math.min(PODS, size.attachments)
  return [
    ...Array.from({ length: pods }, (_, i) => ({ containerID: `pod${i}`, ifname: 'eth0' })),
    ...Array.from({ length: size.leases }, (_, i) => ({ containerID: `lease${i}`, ifname: 'eth0' })),
  ]
}

const callEnvironment = (command: string, containerId: string, ifname: string, netns: string) => ({
  CNI_COMMAND: command,
  CNI_CONTAINERID: containerId,
  CNI_IFNAME: ifname,
  CNI_NETNS: netns,
  CNI_PATH: '/opt/cni/bin',
  TSNET_NAT: backend,
})

const daemonEnv = (daemon: boolean) => ({ TSNET_NAT: backend, TSNET_DAEMON: daemon ? 'on' : 'off' })

/** Runs the executable. @throws Error with what it said when it fails */
function run(
  words: string[],
  { env, input, count }: { env: Record<string, string>; input?: string; count: Count | undefined },
): { ms: number; stdout: string; calls?: number } {
  const counts = '/run/strace'
  const only = count === 'network' ? ['-e', 'trace=network'] : []
  const [file = '', ...args] =
    count === undefined ? [EXECUTABLE, ...words] : [...counting(counts), ...only, EXECUTABLE, ...words]
  const options = { env: { ...process.env, ...env }, maxBuffer: 1 << 28, encoding: 'utf8' } as const
  const began = performance.now()
  const { status, stdout, stderr } = spawnSync(file, args, {
    ...options,
    ...(input !== undefined && { input }),
  })
  const ms = performance.now() - began
  if (status !== 0) throw new Error(`${words.join(' ') || env.CNI_COMMAND}: ${stdout.slice(-2000)}${stderr}`)
  if (count === undefined) return { ms, stdout }
  return { ms, stdout, calls: totalIn(readFileSync(counts, 'utf8')) }
}

async function startDaemon(): Promise<void> {
  writeFileSync('/run/tsnetd.json', '{}')
  const child = spawn(EXECUTABLE, ['daemon', '--config', '/run/tsnetd.json'], {
    env: { ...process.env, TSNET_NAT: backend },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  daemon = child
  let said = ''
  for await (const chunk of child.stdout) {
    said += chunk
    if (said.includes('ready')) return
  }
  throw new Error('the daemon did not start')
}

async function stopDaemon(): Promise<void> {
  const child = daemon
  daemon = undefined
  if (child === undefined) return
  child.kill()
  if (child.exitCode === null) await once(child, 'exit')
}

const ofDaemon = (file: string): string => readFileSync(`/proc/${daemon?.pid}/${file}`, 'utf8')

/** Proportional: what the program shares with others counts for its part. */
const memoryMib = (): number =>
  Number(/^Pss:\s+(\d+)/m.exec(ofDaemon('smaps_rollup'))?.[1] ?? Number.NaN) / 1024

/** Time that its threads have run. Source: Documentation/scheduler/sched-stats.rst, /proc/pid/schedstat. */
function cpuMs(): number {
  const threads = readdirSync(`/proc/${daemon?.pid}/task`)
  const nanoseconds = threads.map(thread => Number(ofDaemon(`task/${thread}/schedstat`).split(' ')[0]))
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6
}

process.on('message', (order: Order) => {
  const work = orders[order.do] as (order: Order) => Promise<Reply>
  work(order)
    .catch((thrown): Reply => ({ error: thrown instanceof Error ? (thrown.stack ?? '') : String(thrown) }))
    .then(reply => process.send?.(reply))
})
process.on('disconnect', () => {
  daemon?.kill('SIGKILL')
  process.exit()
})
// The tools that are there at the start are all that are used.
execFileSync('mount', ['--make-rprivate', '/'])
