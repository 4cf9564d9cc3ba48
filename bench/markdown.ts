/** Reports as tables for a document: who down, what across, each cell a median and how many times the peer's. */

import { figure } from './chart/parts.ts'
import type { Line, Report } from './report.ts'

const COLUMNS = 4

export const markdownOf = (report: Report): string =>
  [`## ${report.title}`, ...tablesOf(report), report.notes.map(note => `- ${note}\n`).join('')].join('\n\n')

/** Works that the same have done share a table. */
function tablesOf({ lines, unit }: Report): string[] {
  const works = [...new Set(lines.map(({ work }) => work))]
  const groups: Line[][][] = []
  for (const work of works) {
    const done = lines.filter(line => line.work === work)
    const last = groups.at(-1)
    const fits = last !== undefined && last.length < COLUMNS && sidesOf(last[0]) === sidesOf(done)
    if (fits) last.push(done)
    else groups.push([done])
  }
  return groups.map(group => tableOf(group, unit))
}

const sidesOf = (done: readonly Line[] = []): string => JSON.stringify(done.map(({ by }) => by))

function tableOf(group: readonly Line[][], unit: string): string {
  const heads = group.map(([line]) =>
    line === undefined ? '' : [line.work, line.unit ?? unit].filter(Boolean).join(', '),
  )
  const sides = group[0]?.map(({ by }) => by) ?? []
  return [
    ['', ...heads],
    ['---', ...heads.map(() => '---:')],
    ...sides.map((by, index) => [by, ...group.map(done => cellOf(done[index]))]),
  ]
    .map(cells => `| ${cells.join(' | ')} |`)
    .join('\n')
}

function cellOf(line: Line | undefined): string {
  if (line === undefined) return ''
  const { summary, ratio, against } = line
  const beside = [
    ...(ratio === undefined ? [] : [`${ratio.toFixed(2)} ×`]),
    ...(against === undefined ? [] : [`other ${against.toFixed(2)} ×`]),
  ]
  return beside.length === 0 ? figure(summary.median) : `${figure(summary.median)} (${beside.join(', ')})`
}
