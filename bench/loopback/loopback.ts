/**
 * A container behind a bridge, asked for by clients on the host at 127.0.0.1: through docker-proxy, through our proxy, by
 * the redirect; and at its own address, with nobody in between.
 *
 * Every turn measures everything on each side, one after the other; who goes first alternates. The redirect is held
 * against docker-proxy and against nobody, as ratios of medians of the same run.
 */

import { iperf, KEPT, SECONDS, wrk } from '../proxy/load.ts'
import {
  cpuMsOf,
  dockerProxies,
  endScene,
  openPlaces,
  PORTS,
  pidsOf,
  publish,
  type Side,
  serveOurs,
  settled,
  WEB,
} from '../proxy/scene.ts'
import { inTurns, type Samples } from '../proxy/turns.ts'
import type { Line, Report } from '../report.ts'
import { summarize } from '../statistics.ts'
import { isInstalled, versionsOf } from '../versions.ts'
import { connectLines } from './connect.ts'

/** A ratio of medians and which way it has to be. */
type Limit = { atLeast: number } | { budget: number }

interface Work {
  name: string
  unit: string
  /** What the redirect has to be beside each. */
  limits: { 'docker-proxy': Limit; direct: Limit }
  measure(side: Side): number
}

const WORKS: readonly Work[] = [
  {
    name: 'one stream',
    unit: 'Gbit/s',
    limits: { 'docker-proxy': { atLeast: 1.45 }, direct: { atLeast: 0.88 } },
    measure: side => iperf(side, 1),
  },
  {
    name: `requests on ${KEPT} kept connections`,
    unit: '1/s',
    limits: { 'docker-proxy': { atLeast: 1.75 }, direct: { atLeast: 0.83 } },
    measure: side => wrk(side, KEPT).rate,
  },
  {
    name: 'a connection a request',
    unit: '1/s',
    limits: { 'docker-proxy': { atLeast: 2.4 }, direct: { atLeast: 0.9 } },
    measure: side => wrk(side, KEPT, '-H', 'Connection: close').rate,
  },
  {
    name: 'round trip on one, p50',
    unit: 'µs',
    limits: { 'docker-proxy': { budget: 0.55 }, direct: { budget: 1.2 } },
    measure: side => wrk(side, 1).medianUs,
  },
]

/** Of the daemon, in hundredths of its clock: it looks after containers every second all the same. */
const DAEMON_MS = 20

export async function benchLoopback(rounds: number, only: readonly string[] = ['']): Promise<Report> {
  const works = WORKS.filter(({ name }) => only.some(part => name.includes(part)))
  const versions = versionsOf('docker-proxy', 'nginx', 'wrk', 'iperf3', 'node', 'linux')
  const title = 'A container on loopback'
  const missing = ['docker-proxy', 'nginx', 'wrk', 'iperf3'].filter(name => !isInstalled(name))
  if (missing.length > 0) {
    const notes = [`not installed: ${missing.join(', ')}; nothing was measured`]
    return { title, unit: '', versions, lines: [], notes }
  }
  try {
    const sides = await openSides()
    const samples = await inTurns(rounds, works, sides, async (work, side) => {
      const before = cpuMsOf(side.pids)
      const figure = work.measure(side)
      return [
        [work.name, figure],
        [costName(work), cpuMsOf(side.pids) - before],
      ]
    })
    const [redirect] = sides.filter(({ name }) => name === REDIRECT)
    return {
      title,
      unit: 'units as given',
      versions,
      lines: [
        ...works.flatMap(work => linesOf(work, sides, samples)),
        ...works.flatMap(work => costOf(work, sides, samples)),
        ...(redirect === undefined ? [] : connectLines(redirect)),
      ],
      notes: [
        `${rounds} turns in turn, ${SECONDS} s each; clients, proxies and the server share the processors`,
        `× peer is to docker-proxy of the same run; of “${BESIDE_DIRECT}” to the container's own address`,
        'what a connect costs is the time in the program, as the kernel counts it, without what counting takes',
      ],
    }
  } finally {
    endScene()
  }
}

const REDIRECT = 'redirect'
const BESIDE_DIRECT = 'redirect, beside direct'

async function openSides(): Promise<Side[]> {
  openPlaces()
  const host = { ip: '127.0.0.1', from: 'host' } as const
  const proxies = [...dockerProxies('tcp', 8200, PORTS.http), ...dockerProxies('tcp', 8201, PORTS.iperf)]
  const daemon = await serveOurs()
  publish('proxy', `8100:${PORTS.http}`, `8101:${PORTS.iperf}`)
  publish('redirect', `8110:${PORTS.http}`, `8111:${PORTS.iperf}`)
  const sides: Side[] = [
    { ...host, name: 'docker-proxy', http: 8200, iperf: 8201, pids: pidsOf(proxies) },
    { ...host, name: 'tsnet’s proxy', http: 8100, iperf: 8101, pids: [daemon] },
    { ...host, name: REDIRECT, http: 8110, iperf: 8111, pids: [daemon] },
    { ...host, name: 'direct', ip: WEB, http: PORTS.http, iperf: PORTS.iperf, pids: [] },
  ]
  await settled(sides)
  return sides
}

function linesOf({ name: work, unit, limits }: Work, sides: Side[], samples: Samples): Line[] {
  const of = (side: string) => summarize(samples.get(`${work} ${side}`) ?? [])
  const ratio = (side: string, peer: string) => of(side).median / of(peer).median
  const lines = sides.map(({ name }): Line => {
    const line = { work, by: name, unit, summary: of(name) }
    if (name === 'docker-proxy') return line
    const limit = name === REDIRECT ? limits['docker-proxy'] : {}
    return { ...line, ratio: ratio(name, 'docker-proxy'), ...limit }
  })
  const beside = { work, by: BESIDE_DIRECT, unit, summary: of(REDIRECT), ...limits.direct }
  return [...lines, { ...beside, ratio: ratio(REDIRECT, 'direct') }]
}

const costName = ({ name }: Work): string => `processor time beside ${name}`

const costOf = (of: Work, sides: Side[], samples: Samples): Line[] =>
  sides.flatMap(side => {
    const work = costName(of)
    const spent = samples.get(`${work} ${side.name}`)
    if (side.pids.length === 0 || spent === undefined) return []
    const line = { work, by: side.name, unit: 'ms', summary: summarize(spent) }
    return [side.name === REDIRECT ? { ...line, limit: DAEMON_MS } : line]
  })
