/**
 * How all commands that list things choose and print them, with the options that people know from Docker.
 *
 *     --filter key=value   those that fit; of one key any of its values, of several keys all of them     filter.ts
 *     (nothing)            a table for people                                                            table.ts
 *     --format TEMPLATE    a line for each, {{.Field}} being what the table has; json; table TEMPLATE    format.ts
 *     --quiet              what names each of them, once
 *     --json               one list of everything that is known of them
 *
 * A listing is a value: its columns, its filters, and what names a thing. Options are checked against it before anything
 * is asked for.
 */

import { TsnetError } from '../../model/errors.ts'
import type { Terminal } from '../terminal.ts'
import type { Column } from './column.ts'
import { type Filters, readFilters } from './filter.ts'
import { readFormat } from './format.ts'
import { tableOf } from './table.ts'

export interface Listing<T> {
  columns: readonly Column<T>[]
  filters: Filters<T>
  nameOf: (item: T) => string
}

/** As they come from the command line. */
export interface ListOptions {
  json?: boolean
  quiet?: boolean
  filter?: readonly string[]
  format?: string
}

/** @returns what prints those that are wanted. @throws TsnetError `invalid-environment` for what the options say */
export function printerOf<T>(
  listing: Listing<T>,
  options: ListOptions,
): (terminal: Terminal, items: readonly T[]) => void {
  const { json = false, quiet = false, filter = [], format } = options
  const asked = [
    ...(json ? ['--json'] : []),
    ...(quiet ? ['--quiet'] : []),
    ...(format === undefined ? [] : ['--format']),
  ]
  if (asked.length > 1)
    throw new TsnetError(
      'invalid-environment',
      `${asked.join(' and ')}: each says how to print; give one of them`,
    )
  const isWanted = readFilters(listing.filters, filter)
  const print = json
    ? (items: readonly T[]) => `${JSON.stringify(items)}\n`
    : quiet
      ? (items: readonly T[]) => linesOf(new Set(items.map(listing.nameOf)))
      : format === undefined
        ? (items: readonly T[], columns?: number) => `${forPeople(listing.columns, items, columns)}\n`
        : readFormat(listing.columns, format)
  return (terminal, items) => terminal.out(print(items.filter(isWanted), terminal.columns))
}

const linesOf = (lines: Iterable<string>): string => [...lines].map(line => `${line}\n`).join('')

function forPeople<T>(columns: readonly Column<T>[], items: readonly T[], room?: number): string {
  const shown = columns.filter(({ isShown }) => isShown?.(items) ?? true)
  return tableOf(
    shown.map(({ head }) => head),
    items.map(item => shown.map(({ cell, empty = '-' }) => cell(item) || empty)),
    room,
  )
}
