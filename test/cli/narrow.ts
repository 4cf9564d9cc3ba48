/** Listings on terminals of any width: no line is wider, and nothing is lost. */

import fc from 'fast-check'
import t from 'tap'
import { tableOf } from '../../src/cli/listing/table.ts'
import { columnsOf, indented, wrapped } from '../../src/model/text/text.ts'

const widest = (text: string): number => Math.max(...text.split('\n').map(columnsOf))

/** What is to be read, without the space that was put in or left out. */
const read = (text: string): string => text.replace(/\s+/g, '')

const countsOf = (text: string): Map<string, number> =>
  [...text].reduce((counts, sign) => counts.set(sign, (counts.get(sign) ?? 0) + 1), new Map<string, number>())

const word = fc.stringMatching(/^[a-z0-9.,:/ü網 -]{0,40}$/)

t.test('no line of a text that is broken is longer than there is room, and nothing is lost', async t => {
  fc.assert(
    fc.property(word, fc.integer({ min: 2, max: 60 }), (text, columns) => {
      const lines = wrapped(text, columns)
      t.ok(widest(lines.join('\n')) <= columns, JSON.stringify({ text, columns, lines }))
      t.equal(read(lines.join('')), read(text))
    }),
  )
  t.same(wrapped('10.1.0.2/16,fd00::2/64', 12), ['10.1.0.2/16,', 'fd00::2/64'])
  t.same(wrapped('網ü.  2-網', 2), ['網', 'ü.', '2-', '網'], 'space in a piece that is cut takes no room')
  t.same(wrapped('say why, please', 8), ['say why,', 'please'])
  t.same(
    wrapped('\u001b[31mred and\u001b[0m not', 7),
    ['\u001b[31mred and\u001b[0m', 'not'],
    'colours take no room',
  )
  t.equal(indented('  do:  ', 'this and that', 12), '  do:  this\n       and\n       that')
})

t.test('no line of a table is wider than the terminal, and each cell is there', async t => {
  const row = fc.array(word, { minLength: 3, maxLength: 3 })
  fc.assert(
    fc.property(fc.array(row, { maxLength: 5 }), fc.integer({ min: 12, max: 100 }), (rows, columns) => {
      const head = ['NAME', 'CONNECTIONS', 'ID']
      const text = tableOf(head, rows, columns)
      t.ok(widest(text) <= columns, JSON.stringify({ rows, columns, text }))
      // A head may be told for each row.
      const told = countsOf(read(text))
      const cells = countsOf(read([...head, ...rows.flat()].join('')))
      for (const [sign, count] of cells) t.ok((told.get(sign) ?? 0) >= count, `${sign} in ${text}`)
    }),
  )
})

t.test(
  'where it fits it is as wide as it is; else cells go on below, and at last rows are paragraphs',
  async t => {
    const head = ['CONTAINER', 'ADDRESSES', 'STATE']
    const rows = [
      ['web', '10.1.0.2/16,fd00::2/64', 'attached'],
      ['a-longer-name', '', 'dead'],
    ]
    t.equal(
      tableOf(head, rows),
      [
        'CONTAINER      ADDRESSES               STATE',
        'web            10.1.0.2/16,fd00::2/64  attached',
        'a-longer-name                          dead',
      ].join('\n'),
    )
    t.equal(tableOf(head, rows, 47), tableOf(head, rows))
    t.equal(
      tableOf(head, rows, 40),
      [
        'CONTAINER      ADDRESSES        STATE',
        'web            10.1.0.2/16,     attached',
        '               fd00::2/64',
        'a-longer-name                   dead',
      ].join('\n'),
    )
    t.equal(
      tableOf(head, rows, 20),
      [
        'CONTAINER  web',
        'ADDRESSES  10.1.0.2/',
        '           16,',
        '           fd00::2/',
        '           64',
        'STATE      attached',
        '',
        'CONTAINER  a-longer-',
        '           name',
        'ADDRESSES',
        'STATE      dead',
      ].join('\n'),
    )
    t.equal(tableOf(head, [], 20), 'CONTAINER  ADDRESSES\nSTATE')
  },
)
