/**
 * A container comes and goes, alone and beside another that stays, with a pause before each call and without.
 *
 * Every round is a turn of each side, and who goes first rotates. A turn:
 *
 *     pause, ADD, pause, DEL, pause     as on a host where something happens now and then
 *     ADD, DEL, ADD, DEL                each as the one before has ended; the last two count
 *
 * The daemon's processor time is looked at before and after the calls with pauses, so what it does when it has answered
 * is in it; and how long it waited for a processor, which says what else the machine had to do.
 */

import type { Daemon } from '../daemon.ts'
import { measure, type Part } from '../meter/meter.ts'
import { rotate } from '../statistics.ts'
import { COUNTED, canCount, NOT_COUNTED } from '../system-calls.ts'
import { hasReference, NO_REFERENCE } from '../versions.ts'
import { addNeighbour, callOf, sumOf } from './calls.ts'
import { countSide } from './count.ts'
import { benchFresh } from './fresh.ts'
import { daemonOn, type Host, makeHost } from './host.ts'
import { Kernel } from './kernel.ts'
import {
  ALONE,
  DAEMON_PROCESSOR,
  DAEMON_WAITS,
  type Found,
  linesOfKernel,
  linesOfSides,
  NO_PAUSE,
  PROCESSOR,
} from './lines.ts'
import { type Build, keepSample, ourSides, referenceSide, type Side } from './sides.ts'

/** Long enough for the kernel to be done with what a call left, and the processor to go idle. */
const PAUSE_MS = 50

export async function benchContainers(rounds: number, builds: readonly Build[]): Promise<Found> {
  const kernel = new Kernel(makeHost('kernel'))
  const reference = hasReference() ? referenceSide(makeHost('reference')) : undefined
  const hosts = builds.map((build, index) => ({ build, host: makeHost(`ours${index}`) }))
  const sides = [
    ...(reference ? [reference] : []),
    ...hosts.flatMap(({ build, host }) => ourSides(build, host)),
  ]
  const daemons = new Map<Host, Daemon>()
  try {
    for (const { build, host } of hosts) daemons.set(host, await daemonOn(host, build))
    // What is read for the first time comes from the disk, and a daemon compiles its first calls.
    for (let round = 0; round < WARM; round++) measure(sides.flatMap(pair))
    const all = (suffix: string) =>
      Array.from({ length: rounds }, (_, round) => [
        ...kernel.turn(PAUSE_MS, ''),
        ...kernel.turn(0, NO_PAUSE),
        ...rotate(sides, round).flatMap(side => turn(side, suffix, daemonOf(side, daemons))),
      ]).flat()
    measure(all(ALONE))
    measure(sides.map(addNeighbour))
    measure(all(''))
    if (canCount()) for (const side of sides) await countSide(side, daemonOf(side, daemons))
    for (const side of sides) if (daemonOf(side, daemons)) await benchFresh(side, daemons)
  } finally {
    for (const daemon of daemons.values()) await daemon.stop()
  }
  return {
    lines: [...linesOfSides(sides, kernel), ...linesOfKernel(kernel)],
    notes: [
      `${rounds} turns in turn, each with ${PAUSE_MS} ms before every call, and without a pause`,
      canCount() ? COUNTED : NOT_COUNTED,
      ...(reference === undefined ? [NO_REFERENCE] : []),
    ],
  }
}

const WARM = 5

const pair = (side: Side): Part[] => [callOf(side, 'ADD'), callOf(side, 'DEL')]

/** Absent for who does without one. */
const daemonOf = ({ host, ours }: Side, daemons: ReadonlyMap<Host, Daemon>): Daemon | undefined =>
  ours?.how === 'with the daemon' ? daemons.get(host) : undefined

function turn(side: Side, suffix: string, daemon: Daemon | undefined): Part[] {
  const pause: Part = { steps: [{ pauseMs: PAUSE_MS }] }
  const used = { calls: 0, daemon: 0, waited: 0 }
  const clock = (sign: 1 | -1): Part => ({
    steps: daemon === undefined ? [] : [{ clockOf: daemon.pid }],
    keep: figures => {
      const { processorMs, waitedMs } = sumOf(figures)
      used.daemon += sign * processorMs
      used.waited += sign * waitedMs
    },
  })
  const called = (command: 'ADD' | 'DEL'): Part => ({
    steps: callOf(side, command).steps,
    keep: figures => {
      const { ms, processorMs } = sumOf(figures)
      used.calls += processorMs
      keepSample(side, `${command}${suffix}`, ms)
    },
  })
  const done: Part = {
    steps: [],
    keep: () => {
      keepSample(side, `${PROCESSOR}${suffix}`, used.calls + used.daemon)
      if (daemon === undefined) return
      keepSample(side, `${DAEMON_PROCESSOR}${suffix}`, used.daemon)
      keepSample(side, `${DAEMON_WAITS}${suffix}`, used.waited)
    },
  }
  return [
    ...[pause, clock(-1), called('ADD'), pause, called('DEL'), pause, clock(1), done],
    ...pair(side),
    callOf(side, 'ADD', `ADD${suffix}${NO_PAUSE}`),
    callOf(side, 'DEL', `DEL${suffix}${NO_PAUSE}`),
  ]
}
