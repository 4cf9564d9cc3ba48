/** Ten thousand ports in one publication: how long the command takes, and how much processor time of the daemon. */

import type { Daemon } from '../daemon.ts'
import { measure, type Part } from '../meter/meter.ts'
import type { Step } from '../meter/plan.ts'
import type { Line } from '../report.ts'
import { ip } from '../sandbox.ts'
import { rotate, summarize } from '../statistics.ts'
import { PUBLICATION_MS } from './budgets.ts'
import { sumOf } from './calls.ts'
import { daemonOn, type Host, makeHost } from './host.ts'
import type { Found } from './lines.ts'
import type { Build } from './sides.ts'

const PORTS = 10_000
const FIRST = 20_000
const PAUSE_MS = 100

interface Publisher {
  build: Build
  host: Host
  container: string
  daemon: Daemon
  ms: number[]
  processorMs: number[]
}

export async function benchPublication(rounds: number, builds: readonly Build[]): Promise<Found> {
  const publishers: Publisher[] = []
  try {
    for (const [index, build] of builds.entries()) {
      const host = makeHost(`publisher${index}`)
      const container = `web${index}`
      wire(`publisher${index}`, container)
      const daemon = await daemonOn(host, build)
      publishers.push({ build, host, container, daemon, ms: [], processorMs: [] })
    }
    // The first turn of each warms it up.
    measure(publishers.flatMap(turn))
    for (const { ms, processorMs } of publishers) ms.length = processorMs.length = 0
    measure(Array.from({ length: rounds }, (_, round) => rotate(publishers, round).flatMap(turn)).flat())
    return { lines: [...linesOf('ms', publishers), ...linesOf('processorMs', publishers)], notes: [] }
  } finally {
    for (const { daemon } of publishers) await daemon.stop()
  }
}

const WORKS = {
  ms: `publish ${PORTS} ports`,
  processorMs: `publish ${PORTS} ports, processor time of the daemon`,
}

function linesOf(figure: keyof typeof WORKS, publishers: readonly Publisher[]): Line[] {
  const other = publishers.find(({ build }) => !build.isThis)
  return publishers
    .filter(publisher => publisher[figure].every(Number.isFinite))
    .map(publisher => {
      const { build } = publisher
      const summary = summarize(publisher[figure])
      const limit = build.isThis && figure === 'ms' && { limit: PUBLICATION_MS, unit: 'ms' }
      const against = build.isThis && other && { against: summary.median / summarize(other[figure]).median }
      return { work: WORKS[figure], by: build.name, summary, ...limit, ...against }
    })
}

/** A container with an address, on a bridge of the host. */
function wire(host: string, container: string): void {
  ip('netns', 'add', container)
  ip('-n', host, 'link', 'add', 'br0', 'up', 'type', 'bridge')
  ip('-n', host, 'address', 'add', '10.77.0.1/24', 'dev', 'br0')
  ip('-n', host, 'link', 'add', 'web0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', container)
  ip('-n', host, 'link', 'set', 'web0', 'up', 'master', 'br0')
  ip('-n', container, 'address', 'add', '10.77.0.2/24', 'dev', 'eth0')
  ip('-n', container, 'link', 'set', 'eth0', 'up')
  ip('-n', container, 'route', 'add', 'default', 'via', '10.77.0.1')
}

function turn(publisher: Publisher): Part[] {
  const { host, container, daemon, ms, processorMs } = publisher
  const range = `${FIRST}-${FIRST + PORTS - 1}`
  const pause: Part = { steps: [{ pauseMs: PAUSE_MS }] }
  let before = 0
  return [
    { steps: [{ netns: host.netns }] },
    pause,
    {
      steps: [{ clockOf: daemon.pid }],
      keep: figures => {
        before = sumOf(figures).processorMs
      },
    },
    {
      steps: [command(publisher, 'publish', `${range}:${range}`, `netns:${container}`)],
      keep: figures => void ms.push(sumOf(figures).ms),
    },
    pause,
    {
      steps: [{ clockOf: daemon.pid }],
      keep: figures => void processorMs.push(sumOf(figures).processorMs - before),
    },
    { steps: [command(publisher, 'unpublish', '--all')] },
  ]
}

const command = ({ build, host }: Publisher, ...words: string[]): Step => ({
  run: {
    name: words[0] ?? '',
    command: [`${build.folder}/tsnet`, ...words],
    env: { PATH: process.env.PATH ?? '', TSNET_RUN_DIR: host.runDirectory },
    stdin: [],
  },
})
