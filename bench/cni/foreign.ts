/**
 * A host full of others' chains, over an empty one: tables of nftables as a cluster's proxy makes them, and chains of
 * iptables in the nft variant. What concerns one container looks at none of them, so it should not matter.
 *
 * Hosts of all kinds stand side by side and take turns, each with a daemon and a container that stays.
 */

import { execFileSync } from 'node:child_process'
import type { Daemon } from '../daemon.ts'
import { measure, type Part } from '../meter/meter.ts'
import type { Line } from '../report.ts'
import { rotate } from '../statistics.ts'
import { isInstalled } from '../versions.ts'
import { FULL_OVER_EMPTY } from './budgets.ts'
import { addNeighbour, type Command, callOf } from './calls.ts'
import { daemonOn, type Host, makeHost, on } from './host.ts'
import type { Found } from './lines.ts'
import { type Build, ourSide, type Side, summaryOf } from './sides.ts'

const CHAINS = 2_000
const PAUSE_MS = 10
const WARM = 10
/** A twentieth is to be told from chance, which the kernel's grace periods leave much to. */
const MORE = 3

interface Kind {
  name: string
  /** What fills it, with what on its stdin. */
  fill?: { command: readonly string[]; text: string }
}

const numbers = Array.from({ length: CHAINS }, (_, index) => index)
const addressOf = (index: number) => `10.200.${index >> 8}.${index & 255}`

const EMPTY: Kind = { name: 'an empty host' }
const KINDS: readonly Kind[] = [
  EMPTY,
  {
    name: `${CHAINS} chains of nftables`,
    fill: {
      command: ['nft', '-f', '-'],
      text: [
        'table ip others {',
        ...numbers.map(
          index => `chain service${index} { ip daddr ${addressOf(index)} tcp dport 80 counter accept; }`,
        ),
        '}',
      ].join('\n'),
    },
  },
  {
    name: `${CHAINS} chains of iptables`,
    fill: {
      command: ['iptables-nft-restore'],
      text: [
        '*nat',
        ...numbers.map(index => `:OTHERS-${index} - [0:0]`),
        ...numbers.map(
          index => `-A OTHERS-${index} -p tcp -d ${addressOf(index)} --dport 80 -j DNAT --to 10.1.2.3:80`,
        ),
        'COMMIT',
        '',
      ].join('\n'),
    },
  },
]

export async function benchForeign(rounds: number, builds: readonly Build[]): Promise<Found> {
  const kinds = KINDS.filter(({ fill }) => fill === undefined || isInstalled(fill.command[0] ?? ''))
  const hosts: { host: Host; build: Build; sides: Side[] }[] = []
  const daemons: Daemon[] = []
  try {
    for (const [index, kind] of kinds.entries()) {
      for (const [which, build] of builds.entries()) {
        const host = makeHost(`full${index}-${which}`)
        fill(host, kind)
        daemons.push(await daemonOn(host, build))
        const sides = (['nftables', 'iptables'] as const).map(backend =>
          ourSide(build, host, backend, 'with the daemon', kind.name),
        )
        hosts.push({ host, build, sides })
      }
    }
    const sides = hosts.flatMap(each => each.sides)
    measure(sides.map(addNeighbour))
    for (let round = 0; round < WARM; round++) measure(sides.flatMap(side => turn(side, false)))
    measure(
      Array.from({ length: rounds * MORE }, (_, round) =>
        rotate(sides, round).flatMap(side => turn(side, true)),
      ).flat(),
    )
    return {
      lines: (['ADD', 'DEL'] as const).flatMap(command => linesOf(command, sides)),
      notes: notes(kinds),
    }
  } finally {
    for (const daemon of daemons) await daemon.stop()
  }
}

function fill(host: Host, { fill }: Kind): void {
  if (fill === undefined) return
  const [file = '', ...words] = [...on(host), ...fill.command]
  execFileSync(file, words, { input: fill.text, stdio: ['pipe', 'ignore', 'pipe'] })
}

const turn = (side: Side, kept: boolean): Part[] =>
  (['ADD', 'DEL'] as const).flatMap(command => [
    { steps: [{ pauseMs: PAUSE_MS }] },
    callOf(side, command, kept ? command : undefined),
  ])

/** The peer is the same on an empty host. */
function linesOf(command: Command, sides: readonly Side[]): Line[] {
  return sides.map((side): Line => {
    const peer = sides.find(
      other =>
        other.name.endsWith(EMPTY.name) &&
        other.ours?.build === side.ours?.build &&
        other.ours?.backend === side.ours?.backend,
    )
    const summary = summaryOf(side, command)
    const line: Line = { work: `${command} beside others' chains`, by: side.name, summary }
    if (peer === undefined || peer === side) return line
    const ratio = summary.median / summaryOf(peer, command).median
    const demanded = side.ours?.build.isThis && side.ours.backend === 'nftables'
    return { ...line, ratio, ...(demanded && { budget: FULL_OVER_EMPTY }) }
  })
}

const notes = (kinds: readonly Kind[]): string[] => [
  `others' chains: ${PAUSE_MS} ms before every call; × is to the empty host`,
  ...KINDS.filter(kind => !kinds.includes(kind)).map(
    ({ name, fill }) => `${name}: not measured, ${fill?.command[0]} is not installed`,
  ),
]
