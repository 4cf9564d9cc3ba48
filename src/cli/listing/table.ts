/** Tables for people: columns under their heads, apart by spaces, as `ip` and `docker` print them. */

const GAP = '  '

/** @param rows as many cells each as the head has */
export function tableOf(head: string[], rows: string[][]): string {
  const lines = [head, ...rows]
  const widths = head.map((_, column) => lines.reduce((most, line) => Math.max(most, width(line[column])), 0))
  const padded = (cell: string, column: number) => cell + ' '.repeat((widths[column] ?? 0) - width(cell))
  return lines.map(line => line.map(padded).join(GAP).trimEnd()).join('\n')
}

/** In characters as people count them. */
const width = (cell = ''): number => (/^[ -~]*$/.test(cell) ? cell.length : [...cell].length)
