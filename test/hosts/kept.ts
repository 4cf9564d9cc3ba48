import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import {
  bootClock,
  forgetHeld,
  hostId,
  isBelieved,
  ownPart,
  readHeld,
  writeHeld,
} from '../../src/hosts/kept.ts'
import { parseCidr } from '../../src/model/address/address.ts'

const pools = [
  { subnet: parseCidr('10.200.0.0/16'), hostPrefix: 24 },
  { subnet: parseCidr('fd00:200::/48'), hostPrefix: 64 },
]
const hour = 3_600_000

t.beforeEach(t => {
  const folder = mkdtempSync(join(tmpdir(), 'kept-'))
  process.env.TSNET_RUN_DIR = folder
  t.teardown(() => rmSync(folder, { recursive: true }))
})

t.test('a host is who it is from the first time on', async t => {
  const id = hostId()
  t.match(id, /^[0-9a-f]{16}$/)
  t.equal(hostId(), id)
})

t.test('a copy of a machine is another host, and a file of an earlier version is taken over', async t => {
  const id = hostId('board 1')
  t.equal(hostId('board 1'), id)
  t.equal(hostId(''), id, 'where nothing tells machines apart')
  const copy = hostId('board 2')
  t.not(copy, id)
  t.equal(hostId('board 2'), copy)
})

t.test('an ADD knows its part of the network from a file', async t => {
  t.throws(() => ownPart('front', { pools }), { code: 'try-again', message: /no prefix of it yet/ })
  writeHeld('front', { number: 7, pools, mtu: 1450, until: bootClock() + hour })
  t.match(ownPart('front', { pools }), {
    prefixes: ['10.200.7.0/24', 'fd00:200:0:7::/64'],
    ranges: [[{ subnet: '10.200.7.0/24' }], [{ subnet: 'fd00:200:0:7::/64' }]],
    mtu: 1450,
  })
  forgetHeld('front')
  t.throws(() => ownPart('front', { pools }), { code: 'try-again' })
})

t.test('a network that is cut otherwise has other prefixes: the number is not believed', async t => {
  writeHeld('front', { number: 7, pools, mtu: 1450, until: bootClock() + hour })
  const other = [{ subnet: parseCidr('10.200.0.0/16'), hostPrefix: 25 }]
  t.throws(() => ownPart('front', { pools: other }), { code: 'try-again', message: /no prefix of it yet/ })
})

t.test(
  'a prefix is believed until its time, in another boot by the clock of the world, and not by one put back',
  async t => {
    writeHeld('front', { number: 7, pools, mtu: 1450, until: bootClock() - 1 })
    t.throws(() => ownPart('front', { pools }), {
      code: 'try-again',
      message: /another may have its prefix by now/,
    })
    writeHeld('front', { number: 7, pools, mtu: 1450, until: bootClock() + hour })
    const held = readHeld('front')
    if (held === undefined) throw new Error('nothing was written')
    t.ok(isBelieved(held))
    const elsewhen = { ...held, bootId: 'another' }
    t.ok(isBelieved(elsewhen))
    t.notOk(isBelieved({ ...elsewhen, worldUntil: Date.now() - 1 }), 'its time is over')
    t.notOk(isBelieved({ ...elsewhen, writtenAt: Date.now() + hour }), 'written in the future')
    t.ok(isBelieved({ ...held, worldUntil: 0 }), 'in the same boot no clock of the world counts')
  },
)
