/**
 * `--format`, of Go's templates as much as people use with Docker: `{{.Field}}`, `{{json .Field}}`, `{{json .}}`, the word
 * `json` for a document a line, and `table ` before a template for columns with heads. `\t` and `\n` are what they are in Go.
 */

import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import { didYouMean } from '../../model/nearest.ts'
import type { Column } from './column.ts'
import { tableOf } from './table.ts'

/** A part of a line: of a thing, and of the head of a table. */
interface Part<T> {
  of: (item: T) => string
  head: string
}

const TABLE = /^table\s+/

/** @throws TsnetError `invalid-environment` naming the fields that there are */
export function readFormat<T>(
  columns: readonly Column<T>[],
  format: string,
): (items: readonly T[], room?: number) => string {
  if (format.trim() === 'json') return items => items.map(item => `${JSON.stringify(item)}\n`).join('')
  const template = unescaped(format.replace(TABLE, ''))
  if (!TABLE.test(format)) {
    const parts = partsOf(columns, template)
    return items => items.map(item => `${parts.map(({ of }) => of(item)).join('')}\n`).join('')
  }
  const cells = template.split('\t').map(cell => partsOf(columns, cell))
  const row = (text: (part: Part<T>) => string) => cells.map(parts => parts.map(text).join(''))
  return (items, room) =>
    `${tableOf(
      row(({ head }) => head),
      items.map(item => row(({ of }) => of(item))),
      room,
    )}\n`
}

const unescaped = (text: string): string => text.replaceAll('\\t', '\t').replaceAll('\\n', '\n')

function partsOf<T>(columns: readonly Column<T>[], template: string): Part<T>[] {
  // What is between braces stands at the odd places.
  return template
    .split(/\{\{(.*?)\}\}/s)
    .map((text, index) => (index % 2 === 0 ? literal(text) : actionOf(columns, text)))
}

function literal<T>(text: string): Part<T> {
  if (!text.includes('{{')) return { of: () => text, head: text }
  throw new TsnetError('invalid-environment', `--format: {{ without }}: ${shown(text)}`)
}

function actionOf<T>(columns: readonly Column<T>[], action: string): Part<T> {
  const [, json, field = ''] = /^-?\s*(?:(json)\s+)?\.(\w*)\s*-?$/.exec(action.trim()) ?? []
  if (json !== undefined && field === '') return { of: item => JSON.stringify(item), head: 'JSON' }
  const column = columns.find(each => each.field === field)
  if (column !== undefined) {
    const { cell, head } = column
    return { of: json === undefined ? cell : item => JSON.stringify(cell(item)), head }
  }
  const known = columns.map(each => `.${each.field}`)
  throw new TsnetError(
    'invalid-environment',
    `--format: {{${action}}} is none of {{json .}} and ${known.map(each => `{{${each}}}`).join(', ')}${didYouMean(`.${field}`, known)}`,
  )
}
