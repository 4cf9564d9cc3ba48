/**
 * Tables for people: columns under their heads, apart by spaces, as `ip` and `docker` print them.
 *
 * One that is wider than the terminal loses nothing: the widest columns become narrower, and what does not fit in them
 * goes on below. Where not even that helps, each row is a paragraph, a name and its value on each line.
 */

import { columnsOf, wrapped } from '../../model/text/text.ts'

const GAP = '  '
/** No column becomes narrower than this, or than its head. */
const LEAST = 8

/**
 * @param rows as many cells each as the head has
 * @param columns that the terminal has; absent: as many as it takes
 */
export function tableOf(
  head: readonly string[],
  rows: readonly string[][],
  columns = Number.POSITIVE_INFINITY,
): string {
  const lines = [head, ...rows]
  // Each cell is measured once: of thousands of rows that is most of the work.
  const measured = lines.map(line => line.map(columnsOf))
  const natural = head.map((_, column) =>
    measured.reduce((most, line) => Math.max(most, line[column] ?? 0), 0),
  )
  const widths = narrowed(natural, head, columns)
  if (widths === undefined) return paragraphs(head, rows, columns)
  const gaps = widths.map(width => ' '.repeat(width + GAP.length))
  const isNarrow = widths.some((width, column) => width < (natural[column] ?? 0))
  if (isNarrow) return lines.map(line => wrappedRow(line, widths)).join('\n')
  const last = head.length - 1
  return lines
    .map((line, row) => {
      let text = ''
      for (let column = 0; column < last; column++)
        text += (line[column] ?? '') + (gaps[column] ?? '').slice(measured[row]?.[column])
      return (text + (line[last] ?? '')).trimEnd()
    })
    .join('\n')
}

/** @returns undefined: they cannot be that narrow */
function narrowed(
  natural: readonly number[],
  head: readonly string[],
  columns: number,
): readonly number[] | undefined {
  const least = natural.map((width, column) =>
    Math.min(width, Math.max(columnsOf(head[column] ?? ''), LEAST)),
  )
  const room = columns - GAP.length * (head.length - 1)
  if (sum(natural) <= room) return natural
  if (sum(least) > room) return undefined
  const widths = [...natural]
  for (let over = sum(natural) - room; over > 0; over--) {
    const widest = widths.reduce(
      (best, width, column) =>
        width > (least[column] ?? 0) && (best < 0 || width > (widths[best] ?? 0)) ? column : best,
      -1,
    )
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)

/** One row, of as many lines as its longest cell takes. */
function wrappedRow(row: readonly string[], widths: readonly number[]): string {
  const cells = row.map((cell, column) => wrapped(cell, widths[column] ?? 0))
  const height = Math.max(...cells.map(({ length }) => length))
  return Array.from({ length: height }, (_, line) =>
    cells
      .map((cell, column) => {
        const text = cell[line] ?? ''
        return text + ' '.repeat((widths[column] ?? 0) - columnsOf(text))
      })
      .join(GAP)
      .trimEnd(),
  ).join('\n')
}

function paragraphs(head: readonly string[], rows: readonly string[][], columns: number): string {
  const inset = Math.max(...head.map(columnsOf)) + GAP.length
  const isBeside = columns - inset >= LEAST
  const indent = isBeside ? inset : GAP.length
  const paragraph = (row: readonly string[]) =>
    row
      .flatMap((cell, column) => {
        const name = head[column] ?? ''
        const [first = '', ...others] = wrapped(cell, columns - indent)
        const below = others.map(line => ' '.repeat(indent) + line)
        return isBeside
          ? [name.padEnd(indent) + first, ...below]
          : [...wrapped(name, columns), ' '.repeat(indent) + first, ...below]
      })
      .map(line => line.trimEnd())
      .join('\n')
  // Of no rows the heads are told.
  return rows.length === 0 ? wrapped(head.join(GAP), columns).join('\n') : rows.map(paragraph).join('\n\n')
}
