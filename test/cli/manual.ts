/** What is to be read about every command: in its help, in its manual page, and the same in the documents. */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { commands } from '../../src/cli/cli.ts'
import { EXAMPLES } from '../../src/cli/manual/examples.ts'
import { describeCommands } from '../../src/cli/manual/manual.ts'
import { ENVIRONMENT, FILES } from '../../src/cli/manual/places.ts'
import { VALUES } from '../../src/cli/manual/values.ts'

const silent = { out() {}, error() {}, lively: false, livelyErrors: false }
const program = () => commands(silent)
const all = describeCommands(program())
const reference = readFileSync('docs/cli-reference.md', 'utf8')
const operations = readFileSync('docs/operations.md', 'utf8')

/** The help of a command, as it is printed. */
async function helpOf(words: string): Promise<string> {
  let said = ''
  const told = commands({ ...silent, out: text => (said += text) })
  await told.parseAsync([...words.split(' '), '--help'], { from: 'user' }).catch(() => undefined)
  return said
}

t.test('the help of every command has examples, and each option its default and its choices', async t => {
  for (const { name, options, examples } of all) {
    const help = (await helpOf(name)).replace(/\s+/g, ' ')
    t.ok(examples.length > 0, `${name} has examples: src/cli/manual/examples.ts`)
    for (const { words, does } of examples) t.ok(help.includes(`tsnet ${words} ${does}`), `${name}: ${words}`)
    for (const { long, fallback, choices } of options) {
      if (fallback !== undefined) t.ok(help.includes(`default: ${fallback})`), `${name} ${long}: its default`)
      if (choices.length > 0)
        t.ok(help.includes(`(choices: ${choices.join(', ')}`), `${name} ${long}: its choices`)
    }
  }
})

t.test('an example has the options that there are', async t => {
  for (const { name, options, examples } of all)
    for (const { words } of examples) {
      t.ok(`${words} `.startsWith(`${name} `), words)
      const short = options.flatMap(({ flags }) => /^-\w/.exec(flags) ?? [])
      for (const [option] of words.matchAll(/(?<= )--?[a-z][\w-]*/g))
        t.ok(options.some(({ long }) => long === option) || short.includes(option), `${words}: ${option}`)
    }
})

t.test('a default stands in the reference as in the help', async t => {
  for (const { name, options } of all) {
    const [section = ''] = reference.split(`\n## tsnet ${name}\n`)[1]?.split('\n## ') ?? []
    for (const { flags, long, fallback = '' } of options) {
      const row = section.split('\n').find(line => line.startsWith(`| \`${flags}\` `)) ?? ''
      const written = row.split('|')[2]?.trim().replaceAll('`', '')
      t.equal(fallback, written, `${name} ${long}: src/cli/manual/values.ts`)
    }
  }
})

t.test('nothing is told of commands and options that there are not', async t => {
  const names = all.map(({ name }) => name)
  for (const name of [...Object.keys(EXAMPLES), ...Object.keys(VALUES)]) t.ok(names.includes(name), name)
  for (const [name, { defaults = {}, choices = {} }] of Object.entries(VALUES))
    for (const long of [...Object.keys(defaults), ...Object.keys(choices)])
      t.ok(
        all.find(each => each.name === name)?.options.some(option => option.long === long),
        `${name} ${long}`,
      )
})

t.test('files and variables of the manual are those of the documents', async t => {
  for (const { name } of FILES) t.ok(`${operations}${reference}`.includes(name), name)
  for (const { name } of ENVIRONMENT) t.ok(reference.includes(`| \`${name}\` `), name)
})
