/**
 * Files for iptables-restore as one file, in which each table changes once for all of them.
 *
 *     raw  a          raw  b        nat c              raw  a b
 *     nat  a          nat  b                   ─▶      nat  a b c
 *
 * A table changes as a whole or not at all, in the order of its lines. So where the joined file is taken,
 * all is as if one file had been taken after the other; where a table of it is not, each file can still
 * begin where this one stopped.
 */

/** What one file does to one table. */
export interface Part {
  table: string
  lines: string[]
}

/** A table of a joined file: one transaction. */
export interface Step extends Part {
  /** The files that take part, by their place. */
  files: number[]
}

/** Takes a file apart that restoreFile has made. */
export const partsOf = (file: string): Part[] =>
  [...file.matchAll(/^\*(\w+)\n([\s\S]*?)^COMMIT\n/gm)].map(([, table = '', body = '']) => ({
    table,
    lines: body.split('\n').slice(0, -1),
  }))

/** The order in which rules are added; they are removed the other way round. */
const UP = ['raw', 'mangle', 'filter', 'nat']
const DOWN = UP.toReversed()

/** True for a file that changes its tables in this order, each once. */
const follows = (parts: readonly Part[], order: readonly string[]): boolean =>
  parts.every(
    ({ table }, i) =>
      order.includes(table) && (i === 0 || order.indexOf(table) > order.indexOf(parts[i - 1]?.table ?? '')),
  )

/** The first file, and those of the others that change tables in the same order. @returns their places */
export function joinable(files: readonly Part[][]): number[] {
  const [first = []] = files
  const orders = [UP, DOWN].filter(order => follows(first, order))
  // A single table goes with either, until there is one with several.
  const order = orders.find(one => files.every(parts => follows(parts, one))) ?? orders[0]
  if (order === undefined) return [0]
  return files.flatMap((parts, place) => (follows(parts, order) ? [place] : []))
}

/** One step a table. The files must be joinable; a single one stays as it is. */
export function joinFiles(files: readonly Part[][]): Step[] {
  if (files.length === 1) return files.flatMap(parts => parts.map(part => ({ ...part, files: [0] })))
  const order = [UP, DOWN].find(one => files.every(parts => follows(parts, one))) ?? []
  return order.flatMap(table => {
    const sharing = files.flatMap((parts, place) =>
      parts.filter(part => part.table === table).map(({ lines }) => ({ place, lines })),
    )
    if (sharing.length === 0) return []
    return { table, lines: sharing.flatMap(({ lines }) => lines), files: sharing.map(({ place }) => place) }
  })
}

/** The text of steps, after each of which its mark is printed. */
export const textOf = (steps: readonly Part[], markOf: (step: number) => string): string =>
  steps.map(({ table, lines }, i) => [`*${table}`, ...lines, 'COMMIT', markOf(i), ''].join('\n')).join('')

/** How many lines the file of these parts has. */
export const lineCount = (parts: readonly Part[]): number =>
  parts.reduce((sum, { lines }) => sum + lines.length + 2, 0)
