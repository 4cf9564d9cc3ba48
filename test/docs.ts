/**
 * What the documents say about the code is true: keys, defaults, codes, versions, layers, links.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { readAttachRequest, readNetwork, readValidAttachments } from '../src/cni/config/config.ts'
import { readPrevious } from '../src/cni/config/previous.ts'
import { numbers } from '../src/cni/errors.ts'
import { readCall } from '../src/cni/request.ts'
import { roleOf } from '../src/cni/roles/roles.ts'
import { Json } from '../src/model/json/json.ts'
import { readVersion, versions } from '../src/runtime/cni-versions.ts'
import { layers } from './support/layers.ts'

const reference = readFileSync('docs/cni-reference.md', 'utf8')

/** The rows of the tables between two headings (or to the end), as cells. */
function rowsBetween(from: string, to?: string): string[][] {
  const start = reference.indexOf(`\n${from}\n`)
  const end = to === undefined ? undefined : reference.indexOf(`\n${to}\n`, start)
  const lines = reference.slice(start, end).split('\n')
  return lines
    .filter(line => /^\| *`?[^-| ]/.test(line))
    .map(line =>
      line
        .split('|')
        .map(cell => cell.trim().replaceAll('`', ''))
        .slice(1, -1),
    )
}

const configuration = rowsBetween('## Configuration', '## Errors').filter(([key]) => key !== 'key')

// As rich as it takes to be asked for everything.
const range = { subnet: '10.1.0.0/16' }
const richest = {
  cniVersion: '1.1.0',
  name: 'net',
  type: 'tsnet',
  vlanTrunk: [{ minID: 1, maxID: 2 }],
  isGateway: true,
  ipMasq: true,
  egress: { address: '192.0.2.1' },
  names: {},
  ipam: { type: 'host-local', ...range, ranges: [[range]], routes: [{ dst: '0.0.0.0/0' }] },
  runtimeConfig: {
    portMappings: [{ hostPort: 1, containerPort: 1 }],
    ipRanges: [[range]],
    aliases: { net: ['web'] },
  },
  args: { cni: {} },
}

/** Which has its own addresses. */
const hosts = { engine: 'etcd', endpoints: ['http://127.0.0.1:2379'], subnet: '10.200.0.0/16' }

const environment = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'web',
  CNI_NETNS: '/run/netns/web',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
}

/** Every path that the configuration is asked for. */
function keysAskedFor(): Set<string> {
  const { ipam: _, runtimeConfig: __, ...rest } = richest
  return new Set([...keysOf(richest), ...keysOf({ ...rest, hosts })])
}

function keysOf(rich: object): Set<string> {
  const asked = new Set<string>()
  const { get } = Json.prototype
  Json.prototype.get = function (key) {
    const found = get.call(this, key)
    asked.add(found.path.replace(/\[\d+\]/g, '[]'))
    return found
  }
  try {
    const config = new Json(rich, '')
    const call = readCall(environment)
    roleOf('', config)
    readAttachRequest(config, readVersion(config), call, {})
    readPrevious(config)
    readValidAttachments(config)
  } finally {
    Json.prototype.get = get
  }
  return asked
}

t.test('the reference lists every key that is read, and no other', async t => {
  // CNI_ARGS is read by the same means, but is no key.
  const read = [...keysAskedFor()].filter(key => key !== 'runtimeConfig.aliases.net')
  const listed = configuration.map(([key]) => key)
  t.same(listed.toSorted(), read.toSorted())
})

t.test('a default that the reference gives is the one that an empty configuration has', async t => {
  const call = readCall(environment)
  const network = readNetwork(new Json({ name: 'net' }, ''), '1.1.0', call, {})
  const values: Record<string, unknown> = {
    ...network.bridge,
    ipMasq: network.ipMasq,
    bridge: network.bridge.name,
  }
  const defaults = configuration.filter(
    ([key = '', text]) => key in values && /^(true|false|".*")$/.test(text ?? ''),
  )
  t.ok(defaults.length >= 10)
  for (const [key = '', text = ''] of defaults) t.same(values[key], JSON.parse(text), key)
})

t.test('the reference lists the versions, the commands and the codes', async t => {
  const [, spoken = ''] = /every version of the spec: (.*)\. The answer/s.exec(reference) ?? []
  t.same(spoken.match(/[\d.]+\d/g), versions)
  const codes = rowsBetween('## Errors').slice(1)
  t.same(Object.fromEntries(codes.map(([code, name]) => [name, Number(code)])), numbers)
})

t.test('the table of layers is the one that is held against the sources', async t => {
  const architecture = readFileSync('docs/architecture.md', 'utf8')
  const rows = [...architecture.matchAll(/^\| +(\d+) +\|([^|]*)\|/gm)]
  const documented = rows.toReversed().map(([, , folders = '']) => folders.match(/[\w-]+/g))
  t.same(documented, layers)
})

t.test('links of the documents lead somewhere', async t => {
  const documents = [...readdirSync('.'), ...readdirSync('docs').map(name => join('docs', name))]
  for (const document of documents.filter(name => name.endsWith('.md'))) {
    const text = readFileSync(document, 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      t.ok(existsSync(join(dirname(document), target)), `${document} → ${target}`)
    }
    // Paths of ours that stand in code: `src/ipam/ipam.ts`, `conf/ports.conflist`.
    for (const [, path = ''] of text.matchAll(/`((?:src|test|conf|docs|bench|scripts)\/[\w./-]+)`/g)) {
      t.ok(existsSync(path), `${document}: ${path}`)
    }
  }
})

/** Files and names of tests in the tables of docs/reliability.md: `test/….ts`: a part of the name */
const CITED = /`(test\/[\w./-]+\.ts)`: (.+?)(?=; `test| +\|)/g

t.test('each promise names a test that is there, and what shows that it can fail', async t => {
  const rows = readFileSync('docs/reliability.md', 'utf8')
    .split('\n## Measured\n')[0]
    ?.split('\n')
    .filter(line => /^\| (?!promise|-)/.test(line))
  t.ok((rows ?? []).length > 40)
  for (const row of rows ?? []) {
    const [promise = '', tests = '', control = ''] = row.split(' | ').map(cell => cell.trim())
    const cited = [...`${tests} |`.matchAll(CITED)]
    t.ok(cited.length > 0, promise)
    t.ok(control.replace('|', '').trim().length > 0, `${promise}: a control`)
    for (const [, file = '', name = ''] of cited) {
      const isThere = existsSync(file) && readFileSync(file, 'utf8').includes(name)
      t.ok(isThere, `${file}: ${name}`)
    }
  }
})
