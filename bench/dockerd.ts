/**
 * `docker run` with two hundred published ports: a dockerd with Docker's own docker-proxy, one with ours in its
 * place, and one that starts none (`--userland-proxy=false`), whose time is what dockerd itself takes.
 *
 * Each is a real dockerd on a host of the lab; all are up at once, and each runs a container in turn, and takes it
 * away again.
 */

import { type Host, lab } from '../src/lab/lab.ts'
import { IMPLEMENTATIONS } from '../test/support/docker-proxy.ts'
import { runWithRange } from '../test/support/docker-range.ts'
import { Dockerd } from '../test/support/dockerd.ts'
import type { Line, Report } from './report.ts'
import { rotate, summarize } from './statistics.ts'
import { isInstalled, versionsOf } from './versions.ts'

const PORTS = 200
/** Most of the time is dockerd's own, and it wavers. */
const BUDGETS = { seconds: 1.1, pssMb: 0.25 }

interface Side {
  name: string
  docker: Dockerd
  samples: Record<keyof typeof WORKS, number[]>
}

/** What is measured of a turn. */
const WORKS = {
  seconds: { work: `docker run with ${PORTS} ports`, unit: 's' },
  pssMb: { work: 'memory that serves them', unit: 'MB' },
  processes: { work: 'processes that serve them', unit: '', detail: true },
  goneSeconds: { work: `docker rm -f with ${PORTS} ports`, unit: 's' },
} as const

export async function benchDockerd(rounds: number): Promise<Report> {
  const versions = versionsOf('dockerd', 'docker', 'node', 'linux')
  const report = { title: `Docker: a container with ${PORTS} ports`, unit: 'units as given', versions }
  const missing = ['dockerd', 'docker', 'docker-proxy', 'busybox'].filter(name => !isInstalled(name))
  if (missing.length > 0)
    return { ...report, lines: [], notes: [`not installed: ${missing.join(', ')}; nothing was measured`] }
  await using world = await lab()
  const open = async (name: string, host: Host, ...options: string[]): Promise<Side> => ({
    name,
    docker: await Dockerd.start(host, ...options),
    samples: { seconds: [], pssMb: [], processes: [], goneSeconds: [] },
  })
  const sides = [
    await open('docker-proxy', await world.host('theirs')),
    await open('tsnet', await world.host('ours'), `--userland-proxy-path=${IMPLEMENTATIONS.tsnet}`),
    await open('no proxy', await world.host('none'), '--userland-proxy=false'),
  ]
  for (let round = 0; round < rounds; round++) {
    // What is there at the end goes with its host.
    for (const side of rotate(sides, round)) await turn(side, round < rounds - 1)
  }
  for (const { docker } of sides) await docker.down('SIGKILL')
  const works = Object.keys(WORKS) as (keyof typeof WORKS)[]
  return {
    ...report,
    lines: works.flatMap(key => linesOf(key, sides)),
    notes: [
      `${rounds} turns in turn; memory: PSS of all docker-proxies, with us also of the daemon that they stand for`,
      'no proxy: what dockerd itself takes; nobody is there who serves 127.0.0.1 and ::1',
    ],
  }
}

async function turn({ docker, samples }: Side, removes: boolean): Promise<void> {
  const cost = await runWithRange(docker, 'many', PORTS)
  for (const key of ['seconds', 'pssMb', 'processes'] as const) samples[key].push(cost[key])
  if (!removes) return
  const began = performance.now()
  await docker.run('rm', '-f', 'many')
  samples.goneSeconds.push((performance.now() - began) / 1000)
}

function linesOf(key: keyof typeof WORKS, sides: readonly Side[]): Line[] {
  const [peer] = sides
  return sides.flatMap(({ name, samples }): Line[] => {
    // Nobody serves, or nothing was removed.
    if (!samples[key].some(value => value > 0)) return []
    const summary = summarize(samples[key])
    const line = { ...WORKS[key], by: name, summary }
    if (peer === undefined || name === peer.name) return [line]
    const ratio = summary.median / summarize(peer.samples[key]).median
    const hasBudget = name === 'tsnet' && (key === 'seconds' || key === 'pssMb')
    return [{ ...line, ratio, ...(hasBudget && { budget: BUDGETS[key] }) }]
  })
}
