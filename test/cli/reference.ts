/** docs/cli-reference.md has the commands, arguments and options that there are. */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { commands } from '../../src/cli/cli.ts'
import { leavesOf } from '../../src/cli/command.ts'

const reference = readFileSync('docs/cli-reference.md', 'utf8')
const sections = new Map(
  reference
    .split(/^## /m)
    .slice(1)
    .map(text => [text.slice(0, text.indexOf('\n')), text]),
)
const program = commands({ out() {}, error() {}, lively: false, livelyErrors: false })

t.test('every command has its section, and no other has', t => {
  const documented = [...sections.keys()].filter(title => title.startsWith('tsnet '))
  t.same(
    documented.sort(),
    leavesOf(program)
      .map(({ words }) => `tsnet ${words}`)
      .sort(),
  )
  t.end()
})

for (const { words, command } of leavesOf(program)) {
  t.test(`tsnet ${words} is documented with its arguments and options`, t => {
    const section = sections.get(`tsnet ${words}`) ?? ''
    const [, usage] = /\n {4}(tsnet .*)\n/.exec(section) ?? []
    t.equal(usage, `tsnet ${words} ${command.usage()}`)
    const [table = ''] = /^\| option .*\n(\|.*\n)+/m.exec(section) ?? []
    const options = [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, flags]) => flags)
    t.same(
      options,
      command.options.map(option => option.flags),
    )
    t.end()
  })
}

t.test('every variable that the sources read is documented', t => {
  const documented = [...(sections.get('Environment') ?? '').matchAll(/^\| `(\w+)`/gm)].map(
    ([, name]) => name,
  )
  const places = readFileSync('src/runtime/places.ts', 'utf8')
  const [, read = ''] = /const \{ (.*) \} = environment/.exec(places) ?? []
  for (const name of read.split(', ')) t.ok(documented.includes(name), name)
  t.end()
})
