/**
 * Docker's containers on a network of ours and on one of Docker's own bridge driver: what comes and goes, and what is sent.
 *
 * Each side is a real dockerd on a host of the lab, with a network on which all of this is done, and a machine outside that
 * is a client of its ports. All are up at once, everything is done on each in turn, and who goes first alternates. Docker's
 * side starts a docker-proxy for each port, as Docker does where nobody says otherwise.
 */

import { lab } from '../../src/lab/lab.ts'
import type { Line, Report } from '../report.ts'
import { rotate, summarize } from '../statistics.ts'
import { isInstalled, versionsOf } from '../versions.ts'
import { CALLS } from './calls.ts'
import { openSide, PEER, type Side, TSNET, type Work } from './sides.ts'
import { closeServer, openServer, TRAFFIC } from './traffic.ts'

export async function benchDocker(rounds: number, only: readonly string[] = ['']): Promise<Report> {
  const versions = versionsOf('dockerd', 'iptables', 'nginx', 'wrk', 'iperf3', 'node', 'linux')
  const report = { title: 'Docker: its bridge driver beside ours', unit: 'units as given', versions }
  const missing = ['dockerd', 'docker', 'docker-proxy', 'busybox', 'nginx', 'wrk', 'iperf3'].filter(
    name => !isInstalled(name),
  )
  if (missing.length > 0)
    return { ...report, lines: [], notes: [`not installed: ${missing.join(', ')}; nothing was measured`] }
  const wanted = ({ name }: Work) => only.some(part => name.includes(part))
  const [calls, traffic] = [CALLS.filter(wanted), TRAFFIC.filter(wanted)]
  await using world = await lab()
  const sides = [await openSide(world, PEER), await openSide(world, TSNET)]
  await inTurns(rounds, calls, sides)
  if (traffic.length > 0) {
    for (const side of sides) await openServer(side)
    await inTurns(rounds, traffic, sides)
    for (const side of sides) await closeServer(side)
  }
  for (const { docker } of sides) await docker.down('SIGKILL')
  return {
    ...report,
    lines: [...calls, ...traffic].flatMap(work => linesOf(work, sides)),
    notes: [
      `${rounds} turns in turn; clients, servers and both dockerds share the processors`,
      'with ours rules of iptables, a redirect of loopback, and addresses by --ipam-driver tsnet',
    ],
  }
}

/** The first turn counts for nothing. */
async function inTurns(rounds: number, works: readonly Work[], sides: readonly Side[]): Promise<void> {
  for (let round = -1; round < rounds; round++) {
    for (const work of works) {
      for (const side of rotate(sides, round)) {
        const figure = await work.measure(side)
        if (round >= 0) side.samples.set(work.name, [...(side.samples.get(work.name) ?? []), figure])
      }
    }
  }
}

function linesOf({ name: work, unit, limit }: Work, sides: readonly Side[]): Line[] {
  const summaryOf = ({ samples }: Side) => summarize(samples.get(work) ?? [])
  const [peer] = sides
  return sides.map((side): Line => {
    const line = { work, unit, by: side.name, summary: summaryOf(side) }
    if (peer === undefined || side === peer) return line
    return { ...line, ratio: line.summary.median / summaryOf(peer).median, ...limit }
  })
}
