/**
 * A published port, by four ways: Docker's proxy, haproxy, ours (the daemon, `--mode proxy`) and directly.
 *
 * Every turn measures everything on each side, one after the other; who goes first alternates. Docker's
 * proxy is the peer that the others are held against, as a ratio of medians.
 */

import type { ChildProcess } from 'node:child_process'
import { execFileSync } from 'node:child_process'
import {
  descriptorsOf,
  endScene,
  lineOf,
  memoryOf,
  openScene,
  program,
  run,
  type Side,
  start,
} from './proxy-scene.ts'
import type { Line, Report } from './report.ts'
import { summarize } from './statistics.ts'

/** One kind of work. */
interface Work {
  name: string
  unit: string
  /** What the ratio to the peer must reach, or may not exceed. */
  atLeast?: number
  budget?: number
  measure(side: Side): Promise<number | undefined>
}

const SECONDS = '1'
const KEPT = 64
/** Docker's proxy holds six descriptors a connection and ends at the limit. */
const IDLE = { docker: 3_000, others: 9_000 }
const UDP_BYTES = 64
const UDP_TRIAL_MS = 400
const LOST_AT_MOST = 0.002

export async function benchProxy(rounds: number): Promise<Report> {
  const versions = versionsOfPeers()
  try {
    const { sides, sink } = await openScene()
    const works = worksOf(sink)
    const samples = new Map<string, number[]>()
    for (let round = -1; round < rounds; round++) {
      for (const work of works) {
        for (const side of rotate(sides, round)) {
          const figure = await work.measure(side)
          const key = `${work.name} ${side.name}`
          if (figure !== undefined && round >= 0) samples.set(key, [...(samples.get(key) ?? []), figure])
        }
      }
    }
    return {
      title: 'A published port',
      unit: 'units as given',
      versions,
      lines: [...works.flatMap(work => linesOf(work, sides, samples)), ...(await idleLines(sides))],
      notes: [
        `${rounds} turns in turn, ${SECONDS} s each; × peer is to docker-proxy of the same run`,
        `memory is all of a process (ours: the whole daemon); docker-proxy with ${IDLE.docker} idle connections`,
        `(at more it ends), counted three times what they add`,
      ],
    }
  } finally {
    endScene()
  }
}

function worksOf(sink: ChildProcess): Work[] {
  return [
    { name: 'one stream', unit: 'Gbit/s', atLeast: 1.5, measure: async side => iperf(side, 1) },
    { name: 'eight streams', unit: 'Gbit/s', atLeast: 1.5, measure: async side => iperf(side, 8) },
    {
      name: `requests on ${KEPT} kept connections`,
      unit: '1/s',
      atLeast: 1.3,
      measure: async side => wrk(side, KEPT).rate,
    },
    { name: 'latency on one, p50', unit: 'µs', budget: 1, measure: async side => wrk(side, 1).medianUs },
    {
      name: 'new connections',
      unit: '1/s',
      atLeast: 1.5,
      measure: async side => wrk(side, KEPT, '-H', 'Connection: close').rate,
    },
    {
      name: `UDP, ${UDP_BYTES} bytes, without loss`,
      unit: '1/s',
      atLeast: 3,
      measure: async side => (side.udp === undefined ? undefined : udpRate(side.ip, side.udp, sink)),
    },
  ]
}

function iperf({ ip, iperf }: Side, streams: number): number {
  const options = ['-c', ip, '-p', String(iperf), '-t', SECONDS, '-P', String(streams), '-J']
  const { end } = JSON.parse(run('client', 'iperf3', ...options))
  return end.sum_received.bits_per_second / 1e9
}

function wrk({ ip, http }: Side, connections: number, ...more: string[]): { rate: number; medianUs: number } {
  const options = ['-t1', `-c${connections}`, `-d${SECONDS}s`, '--latency', ...more]
  const text = run('client', 'wrk', ...options, `http://${ip}:${http}/`)
  const [, median = '', unit = ''] = / 50%\s+([\d.]+)(us|ms)/.exec(text) ?? []
  const [, rate = ''] = /Requests\/sec:\s+([\d.]+)/.exec(text) ?? []
  return { rate: Number(rate), medianUs: Number(median) * (unit === 'ms' ? 1000 : 1) }
}

/** Doubles the rate until datagrams are lost, then looks closer. */
async function udpRate(ip: string, port: number, sink: ChildProcess): Promise<number> {
  const arrives = async (rate: number) => {
    const counted = async () => {
      const line = lineOf(sink)
      sink.stdin?.write('\n')
      return Number(await line)
    }
    await counted()
    const words = [ip, port, rate, UDP_TRIAL_MS, UDP_BYTES].map(String)
    const sent = Number(run('client', process.execPath, program('udp-load'), 'send', ...words))
    await new Promise(resolve => setTimeout(resolve, 50))
    const received = await counted()
    // A sender that cannot keep up has not shown that this rate arrives.
    const full = sent >= (rate * UDP_TRIAL_MS * 0.95) / 1000
    return full && received >= sent * (1 - LOST_AT_MOST)
  }
  let good = 10_000
  while (good < 2e6 && (await arrives(good * 2))) good *= 2
  let bad = good * 2
  for (let step = 0; step < 3; step++) {
    const middle = Math.sqrt(good * bad)
    if (await arrives(middle)) good = middle
    else bad = middle
  }
  return good
}

function linesOf(work: Work, sides: Side[], samples: Map<string, number[]>): Line[] {
  const of = (name: string) => samples.get(`${work.name} ${name}`)
  const peer = of('docker-proxy')
  return sides.flatMap(({ name }): Line[] => {
    const own = of(name)
    if (own === undefined || peer === undefined) return []
    const summary = summarize(own)
    const line = { work: work.name, by: name, unit: work.unit, summary }
    if (name === 'docker-proxy') return [line]
    const ratio = summary.median / summarize(peer).median
    if (name !== 'tsnet') return [{ ...line, ratio }]
    const { atLeast, budget } = work
    return [
      { ...line, ratio, ...(atLeast !== undefined && { atLeast }), ...(budget !== undefined && { budget }) },
    ]
  })
}

async function idleLines(sides: Side[]): Promise<Line[]> {
  const work = `memory with ${IDLE.others} idle connections`
  const lines: Line[] = []
  let peer = 0
  for (const side of sides.filter(({ pids }) => pids.length > 0)) {
    const docker = side.name === 'docker-proxy'
    const pids = docker ? side.pids.slice(0, 1) : side.pids
    const wanted = docker ? IDLE.docker : IDLE.others
    const before = { memory: memoryOf(pids), descriptors: descriptorsOf(pids) }
    const clients = start(
      'client',
      process.execPath,
      program('idle-clients'),
      side.ip,
      String(side.http),
      String(wanted),
    )
    const count = Number(await lineOf(clients))
    const added = memoryOf(pids) - before.memory
    const megabytes = before.memory + (docker ? (added * IDLE.others) / count : added)
    const each = (descriptorsOf(pids) - before.descriptors) / count
    clients.kill()
    if (docker) peer = megabytes
    const ratio = megabytes / peer
    const line = { work, by: side.name, unit: 'MB', summary: summarize([megabytes]) }
    lines.push(docker ? line : { ...line, ratio, ...(side.name === 'tsnet' && { budget: 0.5 }) })
    lines.push({ work: 'descriptors for each', by: side.name, unit: '', summary: summarize([each]) })
  }
  return lines
}

/** The list, begun somewhere else each time. */
const rotate = <T>(list: T[], by: number): T[] => {
  const begin = (by + list.length) % list.length
  return [...list.slice(begin), ...list.slice(0, begin)]
}

/** Asked before the sandbox hides Debian's records. @throws Error where a program is missing */
function versionsOfPeers(): Record<string, string> {
  const packages = ['docker.io', 'haproxy', 'nginx-light', 'wrk', 'iperf3', 'curl']
  const text = execFileSync('dpkg-query', ['-W', ...packages], { encoding: 'utf8' })
  const versions = text
    .trim()
    .split('\n')
    .map(line => line.split('\t'))
  return {
    ...Object.fromEntries(versions),
    node: process.version,
    linux: execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim(),
  }
}
