/** Who is meant by a word, where records that do not speak of it are not even understood. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseCidr } from '../../src/model/address/address.ts'
import type { HostPortRecord } from '../../src/model/chained.ts'
import { sha256 } from '../../src/model/sha256.ts'
import { AttachedIndex, listAttached } from '../../src/networks/attached.ts'
import { writeRecord } from '../../src/records/chained.ts'
import { writeEntry } from '../../src/records/records.ts'
import { keyOf, tagOf, undertaking } from '../support/records.ts'
import { saidBy } from '../support/said.ts'

const LONG = sha256('web')

/** As `portmap` leaves it behind an attachment. */
const mapped = (containerId: string, hostPort: number): HostPortRecord => ({
  ...undertaking(containerId),
  backend: 'nftables',
  intent: {
    ...keyOf(containerId),
    addresses: [],
    ports: [{ protocol: 'tcp', hostPort, containerPort: 80 }],
    snat: true,
    masqAll: false,
    mark: { bit: 13 },
    conditions: { 4: [], 6: [] },
  },
})

function furnish(folder: string): void {
  process.env.TSNET_RUN_DIR = folder
  const add = (containerId: string, more: Parameters<typeof undertaking>[1] = {}) =>
    writeEntry(tagOf(containerId), { state: 'attaching', attachment: undertaking(containerId, more) })
  add(LONG, { aliases: ['a "web"\\', 'wéb'], leases: [{ address: parseCidr('fd09::7/64') }] })
  add('one', { ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }] })
  add('range', { ports: [{ protocol: 'udp', hostPort: 8070, containerPort: 80, count: 20 }] })
  add('8080')
  add('chained', { aliases: ['behind'] })
  writeRecord('portmap', tagOf('chained'), mapped('chained', 8081))
}

t.test('a word means the same, whether all records are understood or those that speak of it', async t => {
  furnish(t.testdir())
  const all = new AttachedIndex()
  const words = [
    ...['8080', '8081', '8085', '8089', '8090', '80', '0', '99999', 'front', 'fro', 'behind', 'nobody', ''],
    ...[
      LONG,
      LONG.slice(0, 3),
      LONG.slice(3),
      'a "web"\\',
      'wéb',
      'web',
      'fd09::7',
      'fd09::7/64',
      tagOf('one'),
    ],
  ]
  const meant = words.map(word => listAttached(word).length)
  t.same(
    words.map(word => listAttached(word)),
    words.map(word => all.list(word)),
  )
  t.same(meant.slice(0, 4), [3, 2, 1, 1], 'and ranges, names that are numbers, and the plugin behind count')
  t.same(
    listAttached('behind')[0]?.ports.map(({ hostPort }) => hostPort),
    [8081],
  )
})

t.test('of records that do not speak of the word none is understood', async t => {
  const folder = t.testdir()
  furnish(folder)
  mkdirSync(join(folder, 'attachments'), { recursive: true })
  writeFileSync(join(folder, 'attachments', `${tagOf('damaged')}.json`), '{"damaged": ')
  t.equal(
    saidBy(() => t.equal(listAttached('one').length, 1)),
    '',
  )
  t.match(
    saidBy(() => t.equal(listAttached().length, 5)),
    /is not JSON/,
    'where all are asked for, it is',
  )
})
