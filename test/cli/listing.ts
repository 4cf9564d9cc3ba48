/** How all listings choose and print: filters, templates, names alone, JSON; and what `tsnet ps` lists. */

import { mkdirSync } from 'node:fs'
import t from 'tap'
import { run } from '../../src/cli/cli.ts'
import { oneOf, portOf } from '../../src/cli/listing/filter.ts'
import { type Listing, type ListOptions, printerOf } from '../../src/cli/listing/listing.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import { ownerTag } from '../../src/model/network.ts'
import { writeEntry } from '../../src/records/records.ts'
import { undertaking } from '../support/records.ts'

interface Thing {
  name: string
  colour: string
  port: number
}

const LISTING: Listing<Thing> = {
  columns: [
    { field: 'Name', head: 'NAME', cell: ({ name }) => name },
    { field: 'Colour', head: 'COLOUR', cell: ({ colour }) => colour },
    { field: 'Port', head: 'PORT', cell: ({ port }) => String(port), isShown: () => false },
  ],
  filters: {
    name:
      value =>
      ({ name }) =>
        name.includes(value),
    colour: oneOf('colour', ['red', 'green', ''], ({ colour }, word) => colour === word),
    port: portOf('port', (thing, port) => thing.port === port),
  },
  nameOf: ({ name }) => name,
}

const THINGS: Thing[] = [
  { name: 'web', colour: 'red', port: 80 },
  { name: 'api', colour: '', port: 81 },
  { name: 'web', colour: 'green', port: 82 },
]

function recorder() {
  const said = { out: '', error: '' }
  const terminal: Terminal = {
    out: text => {
      said.out += text
    },
    error: text => {
      said.error += text
    },
    lively: false,
    livelyErrors: false,
  }
  return { said, terminal }
}

function printed(options: ListOptions): string {
  const { said, terminal } = recorder()
  printerOf(LISTING, options)(terminal, THINGS)
  return said.out
}

t.test('without options there is a table, with a dash where there is nothing to say', async t => {
  t.equal(printed({}), 'NAME  COLOUR\nweb   red\napi   -\nweb   green\n')
})

t.test('quiet prints what names each thing, once', async t => {
  t.equal(printed({ quiet: true }), 'web\napi\n')
  t.equal(printed({ quiet: true, filter: ['name=nobody'] }), '')
})

t.test('of one key any value counts, of several keys all, as with Docker', async t => {
  const names = (...filter: string[]) => printed({ filter, format: '{{.Port}}' }).trimEnd().split('\n')
  t.same(names('name=web'), ['80', '82'])
  t.same(names('colour=red', 'colour='), ['80', '81'])
  t.same(names('name=web', 'colour=green'), ['82'])
  t.same(names('port=81', 'port=82', 'name=w'), ['82'])
})

t.test('a template gives a line for each thing, of any field, and json is json', async t => {
  const filter = ['port=80']
  const lines: [format: string, line: string][] = [
    ['{{.Name}}:{{ .Port }}', 'web:80\n'],
    ['{{json .Colour}}', '"red"\n'],
    ['{{json .}}', '{"name":"web","colour":"red","port":80}\n'],
    ['json', '{"name":"web","colour":"red","port":80}\n'],
    ['{{.Name}}\\t{{.Port}}', 'web\t80\n'],
    ['plain', 'plain\n'],
    ['table {{.Name}}\\t{{.Port}}/tcp', 'NAME  PORT/tcp\nweb   80/tcp\n'],
  ]
  for (const [format, line] of lines) t.equal(printed({ format, filter }), line, format)
  t.equal(printed({ json: true, filter }), '[{"name":"web","colour":"red","port":80}]\n')
})

t.test('what a filter or a template cannot be is said with what it may be', async t => {
  const wrong: [options: ListOptions, message: RegExp][] = [
    [{ filter: ['nam=x'] }, /--filter: "nam=x" is none of name=…, colour=…, port=…; did you mean "name"\?/],
    [{ filter: ['name'] }, /is none of/],
    [{ filter: ['=x'] }, /is none of/],
    [{ filter: ['constructor=x'] }, /is none of/],
    [{ filter: ['colour=gren'] }, /colour is none of red, green, : "gren"; did you mean "green"\?/],
    [{ filter: ['port=0'] }, /port is no port: "0"/],
    [{ filter: ['port=65536'] }, /port is no port/],
    [{ format: '{{.Nam}}' }, /--format: \{\{.Nam\}\} is none of .*\{\{.Name\}\}.*; did you mean ".Name"\?/],
    [{ format: '{{range .}}' }, /is none of/],
    [{ format: '{{.Name' }, /without/],
    [{ format: 'json', quiet: true }, /--quiet and --format: each says how to print/],
    [{ json: true, quiet: true }, /--json and --quiet/],
  ]
  for (const [options, message] of wrong)
    t.throws(() => printed(options), { code: 'invalid-environment', message }, JSON.stringify(options))
})

t.test('ps lists every attachment that is written down, and says who is dead', async t => {
  process.env.TSNET_RUN_DIR = t.testdir()
  const { netns, bootId } = undertaking('web')
  const write = (containerId: string, more: object) => {
    const attachment = { ...undertaking(containerId), ...more }
    writeEntry(ownerTag(attachment), { state: 'attaching', attachment })
  }
  write('web', {
    network: 'front',
    aliases: ['shop'],
    leases: [{ address: '10.1.0.2/16' }, { address: 'fd00::2/64' }],
    ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 2 }],
  })
  write('db', { network: 'back', leases: [{ address: '10.2.0.2/16' }] })
  t.ok(netns && bootId)
  const call = async (...words: string[]) => {
    const { said, terminal } = recorder()
    return { code: await run(words, terminal, 0), ...said }
  }
  const { out } = await call(
    'ps',
    '--format',
    '{{.Name}} {{.Network}} {{.Addresses}} {{.Ports}} {{.State}} {{.ID}}',
  )
  t.same(
    out,
    'db back 10.2.0.2/16  dead db\nshop front 10.1.0.2/16,fd00::2/64 8080-8081->80-81/tcp dead web\n',
  )
  const chosen: [filter: string, ids: string][] = [
    ['port=8081', 'web\n'],
    ['port=8082', ''],
    ['address=fd00::2', 'web\n'],
    ['address=10.2.0.2/16', 'db\n'],
    ['network=back', 'db\n'],
    ['id=we', 'web\n'],
    ['name=sho', 'web\n'],
    ['state=attached', ''],
    ['state=dead', 'db\nweb\n'],
  ]
  for (const [filter, ids] of chosen) t.equal((await call('ls', '-q', '--filter', filter)).out, ids, filter)
  t.match(await call('ps', '--filter', 'stat=dead'), { code: 2, out: '', error: /did you mean "state"\?/ })
  t.match(JSON.parse((await call('ps', '--json')).out), [
    { containerId: 'db' },
    { name: 'shop', ifname: 'eth0' },
  ])
  process.env.TSNET_RUN_DIR = t.testdir({})
  t.equal((await call('ps')).out, 'CONTAINER  RUNTIME  NETWORK  INTERFACE  ADDRESSES  PORTS  STATE  ID\n')
  mkdirSync(process.env.TSNET_RUN_DIR, { recursive: true })
})
