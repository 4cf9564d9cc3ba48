/** `tsnet events`. */

import { reportOf } from '../../control/control.ts'
import { present } from '../../model/present.ts'
import { visible } from '../../model/text/text.ts'
import { EVENTS, type Named, type Told } from '../../observe/happening.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import { type Filters, oneOf, portOf, readFilters } from '../listing/filter.ts'
import { Told as Failed } from '../outcome.ts'
import { paint, type Terminal } from '../terminal.ts'
import { listen } from './watching.ts'

const FILTERS: Filters<Told> = {
  event: oneOf('event', EVENTS, ({ event }, word) => event === word),
  container: value => told => everyoneIn(told).some(({ id, name }) => name === value || id.startsWith(value)),
  network:
    value =>
    ({ about }) =>
      about.network === value,
  port: portOf('port', ({ about: { hostPort, count = 1 } }, port) =>
    hostPort === undefined ? false : port >= hostPort && port < hostPort + count,
  ),
}

const everyoneIn = ({ about: { containers = [], from = [] } }: Told): Named[] => [...containers, ...from]

/**
 * A line for each thing that happens, until it is ended; with `json` an object a line.
 * @throws TsnetError `invalid-environment` for a filter, and as listen
 */
export async function events(
  terminal: Terminal,
  { json, filter = [] }: { json: boolean; filter?: readonly string[] | undefined },
): Promise<void> {
  const isWanted = readFilters(FILTERS, filter)
  requireRunDirectory()
  const print = (told: Told) => {
    // That some are missing is for everybody.
    if (told.event !== 'lost' && !isWanted(told)) return
    terminal.out(`${json ? JSON.stringify(flat(told)) : lineOf(told, terminal.lively)}\n`)
  }
  try {
    await listen(print, new Promise(() => {}))
  } catch (thrown) {
    if (!json) throw thrown
    // One line, as all others are.
    terminal.out(`${JSON.stringify({ error: reportOf(thrown) })}\n`)
    throw new Failed()
  }
}

const flat = ({ event, about: { time = now(), ...about } }: Told): object => ({ time, event, ...about })

const now = (): string => new Date().toISOString()

/** For people: `2026-11-29T17:00:00.000Z publish     8080/tcp → web`. */
export function lineOf({ event, about }: Told, lively = false): string {
  const { time = now() } = about
  const rest = wordsOf({ event, about })
  return `${paint(lively, 'dim', time)} ${paint(lively, 'cyan', event.padEnd(WIDTH))} ${visible(rest)}`.trimEnd()
}

const WIDTH = Math.max(...EVENTS.map(({ length }) => length))

function wordsOf({ event, about }: Told): string {
  const { containers = [], from = [], ports = [], addresses = [], network, ifname } = about
  const { number, why, subject, what = [], outcome, pid } = about
  const names = (all: readonly Named[]) => all.map(({ name }) => name).join(', ')
  if (event === 'attach' || event === 'detach') {
    const has = [addresses.join(', '), ports.join(', ')].filter(text => text !== '').join('; ')
    return `${names(containers)} (${network} ${ifname})${has === '' ? '' : ` ${has}`}`
  }
  if (event === 'denied') {
    const [first, ...others] = what
    const more = others.length > 0 ? ` and ${others.length} more` : ''
    return `${names(containers)} (${network} ${ifname}) ${first ?? 'somebody'}${more}, ${number} packets`
  }
  if (event === 'egress') {
    const [first = 'nobody', ...others] = what
    const more = Math.max(others.length, (number ?? 1) - 1)
    return `${names(containers)} (${network} ${ifname}) may reach ${first}${more > 0 ? ` and ${more} more` : ''}`
  }
  if (event === 'reconciled') {
    const [first = ''] = what
    const more = (number ?? 1) - 1
    return `${subject}: ${first}${more > 0 ? `, and ${more} more` : ''}: ${outcome === 'restored' ? 'put back' : (why ?? outcome)}`
  }
  if (event === 'hand-over') return `the daemon of process ${pid} serves from now on`
  if (event === 'lost') return `${about.count} events, as they were read too slowly`
  const to = names(containers)
  return [
    ports.join(', '),
    ...(to === '' ? [] : [`${about.reverse === undefined ? '→' : '←'} ${to}`]),
    ...(from.length > 0 ? [`from ${names(from)}`] : []),
    ...(number === undefined ? [] : [`${number} times`]),
    ...Object.values(present({ why: why === undefined ? undefined : `(${why})` })),
  ].join(' ')
}
