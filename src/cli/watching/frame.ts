/**
 * One frame of `tsnet top`: what two reports of the daemon say between them, as a table that fits the terminal.
 *
 * What moves the most comes first. Where there is no room, rows at the end are left out and counted, and so are columns, the
 * least telling first.
 */

import { describeHostPorts } from '../../model/port-mapping.ts'
import { present } from '../../model/present.ts'
import { columnsOf, fitted, visible } from '../../model/text/text.ts'
import type { ContainerCounts, CountersReport, PortCounts, Traffic } from '../../observe/observe.ts'
import { paint } from '../terminal.ts'

/** A second's worth of what moves. */
export interface Rates extends Traffic {
  /** Of ports. */
  connections?: number
}

export type PortFrame = PortCounts & { kind: 'port'; rates: Rates }
export type ContainerFrame = ContainerCounts & { kind: 'container'; rates: Rates }

export interface Frame {
  at: number
  ports: PortFrame[]
  containers: ContainerFrame[]
  obstacle?: string
}

/** @param before absent: nothing moves yet */
export function frameOf(now: CountersReport, before: CountersReport | undefined): Frame {
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1_000
  const ports = new Map(before?.ports.map(each => [each.id, each]))
  const containers = new Map(before?.containers.map(each => [each.owner, each]))
  const rate = (more: number, earlier: number | undefined) =>
    // What was made anew counts from the beginning.
    seconds <= 0 || earlier === undefined || more < earlier ? 0 : (more - earlier) / seconds
  const rates = (one: Traffic, earlier: Traffic | undefined): Rates => ({
    bytesIn: rate(one.bytesIn, earlier?.bytesIn),
    bytesOut: rate(one.bytesOut, earlier?.bytesOut),
    packetsIn: rate(one.packetsIn, earlier?.packetsIn),
    packetsOut: rate(one.packetsOut, earlier?.packetsOut),
    dropped: rate(one.dropped, earlier?.dropped),
  })
  return {
    at: now.at,
    ports: busiestFirst(
      now.ports.map(each => {
        const earlier = ports.get(each.id)
        const connections = rate(each.connections, earlier?.connections)
        return { kind: 'port' as const, ...each, rates: { ...rates(each, earlier), connections } }
      }),
      each => each.connections,
    ),
    containers: busiestFirst(
      now.containers.map(each => ({
        kind: 'container' as const,
        ...each,
        rates: rates(each, containers.get(each.owner)),
      })),
      () => 0,
    ),
    ...present({ obstacle: now.obstacle }),
  }
}

function busiestFirst<T extends Traffic & { rates: Rates }>(all: T[], more: (one: T) => number): T[] {
  const weight = ({ bytesIn, bytesOut }: Traffic) => bytesIn + bytesOut
  return all.sort((a, b) => weight(b.rates) - weight(a.rates) || weight(b) - weight(a) || more(b) - more(a))
}

interface Column<T> {
  head: string
  cell: (one: T) => string
  /** Those of the highest go first where there is no room. */
  rank: number
  /** Text stands left, numbers right. */
  isText?: true
}

const namesOf = ({ containers }: PortCounts): string => containers.map(({ name }) => name).join(',')
const PORTS: Column<PortFrame>[] = [
  { head: 'PORT', cell: describeHostPorts, rank: 0, isText: true },
  { head: 'CONTAINER', cell: namesOf, rank: 3, isText: true },
  { head: 'CONN', cell: ({ active }) => short(active), rank: 2 },
  { head: 'NEW/s', cell: ({ rates }) => short(rates.connections ?? 0), rank: 4 },
  { head: 'IN/s', cell: ({ rates }) => short(rates.bytesIn), rank: 1 },
  { head: 'OUT/s', cell: ({ rates }) => short(rates.bytesOut), rank: 1 },
  { head: 'PACKETS/s', cell: ({ rates }) => short(rates.packetsIn + rates.packetsOut), rank: 7 },
  { head: 'REFUSED', cell: ({ refused }) => short(refused), rank: 5 },
  { head: 'DROPPED', cell: ({ dropped }) => short(dropped), rank: 6 },
]

const CONTAINERS: Column<ContainerFrame>[] = [
  { head: 'CONTAINER', cell: ({ name }) => name, rank: 0, isText: true },
  { head: 'NETWORK', cell: ({ network }) => network, rank: 3, isText: true },
  { head: 'IN/s', cell: ({ rates }) => short(rates.bytesIn), rank: 1 },
  { head: 'OUT/s', cell: ({ rates }) => short(rates.bytesOut), rank: 1 },
  { head: 'PACKETS/s', cell: ({ rates }) => short(rates.packetsIn + rates.packetsOut), rank: 4 },
  { head: 'DROPPED', cell: ({ dropped }) => short(dropped), rank: 5 },
]

/** `1.2M`: three digits of which people see what is more. */
export function short(number: number): string {
  const whole = Math.round(number)
  if (whole < 1_000) return String(whole)
  const power = Math.min(Math.floor(Math.log10(number) / 3), UNITS.length)
  const scaled = number / 1_000 ** power
  return `${scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)}${UNITS[power - 1]}`
}
const UNITS = ['k', 'M', 'G', 'T', 'P']

export interface Room {
  columns: number
  /** Absent: as many as it takes. */
  rows?: number
  lively: boolean
}

/** Columns of text are not made wider than this by one long name. */
const TEXT_MAX = 32
/** Lines beside the tables: the title, an empty line before each, their heads. */
const BESIDE = 5

/** The frame as lines, none of them longer than the terminal is wide. */
export function linesOf(frame: Frame, room: Room): string[] {
  const { ports, containers, obstacle } = frame
  const forRows = room.rows === undefined ? Number.POSITIVE_INFINITY : Math.max(room.rows - BESIDE, 2)
  // Each has half, and what the other does not need.
  const half = Math.floor(forRows / 2)
  const forPorts = Math.min(ports.length, Math.max(half, forRows - containers.length))
  const title = `tsnet top ${new Date(frame.at).toISOString().slice(11, 19)}  ports ${ports.length}  containers ${containers.length}`
  return [
    fitted(title, room.columns),
    '',
    ...tableOf(PORTS, ports, forPorts, room),
    '',
    ...tableOf(CONTAINERS, containers, forRows - forPorts, room),
    ...(obstacle === undefined ? [] : [fitted(obstacle, room.columns)]),
  ]
}

const GAP = 1

function tableOf<T>(
  all: Column<T>[],
  items: readonly T[],
  most: number,
  { columns, lively }: Room,
): string[] {
  const isCut = items.length > most
  const shown = items.slice(0, Math.max(isCut ? most - 1 : most, 0))
  const rows = shown.map(item => new Map(all.map(column => [column, visible(column.cell(item))])))
  const width = (column: Column<T>) =>
    Math.min(
      rows.reduce((widest, row) => Math.max(widest, columnsOf(row.get(column) ?? '')), column.head.length),
      column.isText ? TEXT_MAX : Number.POSITIVE_INFINITY,
    )
  const widths = new Map(all.map(column => [column, width(column)]))
  const fitting = fit(all, widths, columns)
  const line = (text: (column: Column<T>) => string) =>
    fitted(
      fitting
        .map(column => padTo(fitted(text(column), widths.get(column) ?? 0), widths.get(column) ?? 0, column))
        .join(' '.repeat(GAP))
        .trimEnd(),
      columns,
    )
  const more = items.length - shown.length
  return [
    paint(
      lively,
      'bold',
      line(({ head }) => head),
    ),
    ...rows.map(row => line(column => row.get(column) ?? '')),
    ...(more > 0 ? [fitted(`and ${more} more`, columns)] : []),
  ]
}

/** Leaves columns out until a row fits; then names are cut. */
function fit<T>(all: Column<T>[], widths: Map<Column<T>, number>, columns: number): Column<T>[] {
  let left = all
  const total = () => left.reduce((sum, column) => sum + (widths.get(column) ?? 0) + GAP, -GAP)
  while (total() > columns) {
    const rank = Math.max(...left.map(column => column.rank))
    if (rank <= 1) break
    left = left.filter(column => column.rank < rank)
  }
  const over = total() - columns
  const [first] = left
  if (over > 0 && first !== undefined) widths.set(first, Math.max((widths.get(first) ?? 0) - over, NAME_MIN))
  return left
}

/** Of a name this much is to be seen. */
const NAME_MIN = 6

const padTo = (text: string, width: number, { isText }: { isText?: true }): string => {
  const space = ' '.repeat(Math.max(width - columnsOf(text), 0))
  return isText ? text + space : space + text
}
