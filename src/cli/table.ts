/** Tables for people; the only file that knows cli-table3. */

import Table from 'cli-table3'

const NONE = ''

/** Columns under their heads, apart by spaces, as `ip` and `docker` print them. */
export function tableOf(head: string[], rows: string[][]): string {
  const blank = Object.fromEntries(
    ['top', 'bottom', 'left', 'right', 'mid'].flatMap(side => [
      [side, NONE],
      [`${side}-mid`, NONE],
      [`${side}-left`, NONE],
      [`${side}-right`, NONE],
    ]),
  )
  const table = new Table({
    head,
    chars: { ...blank, 'left-mid': NONE, 'mid-mid': NONE, 'right-mid': NONE, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  table.push(...rows)
  return table
    .toString()
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n')
}
