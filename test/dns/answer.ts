/** Questions as bytes, answers as dns-packet reads them. */

import { decode, encode, type Packet } from 'dns-packet'
import t from 'tap'
import { type Asker, addressIn, answer } from '../../src/dns/answer.ts'
import { type Known, Zone } from '../../src/dns/zone.ts'
import type { Cidr, Ip } from '../../src/model/address/address.ts'

const network = 'front'
const asker: Asker = { network, ip: '10.1.0.2' as Ip, carrier: 'udp', isHost: false }
const known = (more: Partial<Known> & Pick<Known, 'container'>): Known => ({
  network,
  names: [],
  addresses: [],
  subnets: ['10.1.0.0/16' as Cidr, 'fd00::/64' as Cidr],
  domain: 'tsnet.internal',
  upstream: [],
  ...more,
})

const ID = '0123456789abcdef0123456789abcdef'

function zoneWith(...more: [string, Known][]): Zone {
  const zone = new Zone()
  zone.tell('asker', known({ container: 'asker', addresses: [asker.ip], names: ['asker'] }))
  zone.tell(
    'web',
    known({ container: ID, id: ID, names: ['web', 'www.shop'], addresses: ['10.1.0.3', 'fd00::3'] as Ip[] }),
  )
  zone.tell('old', known({ container: 'old', names: ['old'], addresses: ['10.1.0.4' as Ip] }))
  for (const [key, each] of more) zone.tell(key, each)
  return zone
}

const question = (name: string, type = 'A', more: Partial<Packet> = {}): Uint8Array =>
  encode({ type: 'query', id: 7, flags: 0x100, questions: [{ name, type: type as 'A' }], ...more })

function ask(message: Uint8Array, zone = zoneWith(), by: Partial<Asker> = {}) {
  const outcome = answer(message, { ...asker, ...by }, zone)
  return outcome?.kind === 'answer' ? decode(Buffer.from(outcome.bytes)) : outcome?.kind
}

function told(name: string, type = 'A', zone = zoneWith(), by: Partial<Asker> = {}) {
  const said = ask(question(name, type), zone, by)
  if (typeof said !== 'object') return said
  const { rcode, answers = [] } = said as typeof said & { rcode: string }
  return rcode === 'NOERROR' ? answers.map(each => 'data' in each && each.data) : rcode
}

t.test('containers of other hosts come after those of this one, and have no domain of their own', t => {
  const away = (ip: string): Known => {
    const {
      domain: _,
      upstream: __,
      ...rest
    } = known({
      container: ip,
      names: ['web'],
      addresses: [ip as Ip],
      subnets: ['10.1.9.0/24' as Cidr],
    })
    return rest
  }
  const near = known({ container: 'near', names: ['web'], addresses: ['10.1.0.9' as Ip] })
  const zone = zoneWith(['near', near], ['far', away('10.1.9.4')], ['farther', away('10.1.9.5')])
  const seen = new Set<string>()
  for (let i = 0; i < 4; i++) {
    const all = told('web', 'A', zone) as string[]
    t.strictSame(all.slice(0, 2).toSorted(), ['10.1.0.3', '10.1.0.9'])
    t.strictSame(all.slice(2).toSorted(), ['10.1.9.4', '10.1.9.5'])
    seen.add(all.join())
  }
  t.ok(seen.size > 1, 'each time another one is the first')
  t.strictSame(told('4.9.1.10.in-addr.arpa', 'PTR', zone), ['web.tsnet.internal'])
  t.equal(told('9.9.1.10.in-addr.arpa', 'PTR', zone), 'NXDOMAIN')
  t.equal(told('web.example', 'A', zone), 'forward')
  t.end()
})

t.test(
  'a container is found by its names, alone, below the domain and below its network, and by its id',
  async t => {
    for (const name of ['web', 'WEB', 'web.tsnet.internal', 'web.front', 'www.shop', ID, ID.slice(0, 12)])
      t.strictSame(told(name), ['10.1.0.3'], name)
    t.strictSame(told('web', 'AAAA'), ['fd00::3'])
    t.strictSame(told('web', 'ANY'), ['10.1.0.3', 'fd00::3'])
    t.equal(told(ID.slice(0, 11)), 'forward', 'too short to be an id')
    t.equal(told(`${ID.slice(0, 12)}0`), 'forward', 'no beginning of it')
  },
)

t.test('of a name that is there, no type is refused', async t => {
  for (const type of ['AAAA', 'MX', 'TXT', 'SRV']) t.strictSame(told('old', type), [], type)
  t.strictSame(told('tsnet.internal'), [], 'the domain itself')
})

t.test('what is ours to know and is not there is no name', async t => {
  t.equal(told('none.tsnet.internal'), 'NXDOMAIN')
  t.equal(told('9.9.1.10.in-addr.arpa', 'PTR'), 'NXDOMAIN')
  t.equal(told('example.com'), 'forward')
  t.equal(told('none'), 'forward', 'somebody else may know it')
  t.equal(told('1.1.168.192.in-addr.arpa', 'PTR'), 'forward')
})

t.test('addresses have names', async t => {
  t.strictSame(told('3.0.1.10.in-addr.arpa', 'PTR'), ['web.tsnet.internal', 'www.shop'])
  const six = `3${'.0'.repeat(27)}.0.0.d.f.ip6.arpa`
  t.strictSame(told(six, 'PTR'), ['web.tsnet.internal', 'www.shop'])
  t.strictSame(told('3.0.1.10.in-addr.arpa', 'A'), [], 'and no address')
})

t.test('addresses in names are read to the digit', async t => {
  t.equal(addressIn('4.3.2.1.in-addr.arpa'), '1.2.3.4')
  for (const name of ['4.3.2.256.in-addr.arpa', '04.3.2.1.in-addr.arpa', '3.2.1.in-addr.arpa', '1.ip6.arpa'])
    t.equal(addressIn(name), undefined, name)
})

t.test('several containers of one name take turns', async t => {
  const zone = zoneWith(['b', known({ container: 'b', names: ['web'], addresses: ['10.1.0.9' as Ip] })])
  t.strictSame([told('web', 'A', zone), told('web', 'A', zone)].map(each => JSON.stringify(each)).sort(), [
    '["10.1.0.3","10.1.0.9"]',
    '["10.1.0.9","10.1.0.3"]',
  ])
})

t.test('what is told no more is gone, and what is told anew is so', async t => {
  const zone = zoneWith()
  zone.tell('web', known({ container: ID, names: ['shop'], addresses: ['10.1.0.8' as Ip] }))
  t.equal(told('web.tsnet.internal', 'A', zone), 'NXDOMAIN')
  t.strictSame(told('shop', 'A', zone), ['10.1.0.8'])
  zone.tell('web', undefined)
  t.equal(told('shop.tsnet.internal', 'A', zone), 'NXDOMAIN')
})

t.test('a container sees all its networks by whichever gateway it asks, and no others', async t => {
  const back = (container: string, names: string[], ip: string) =>
    known({ network: 'back', container, names, addresses: [ip as Ip], subnets: ['10.2.0.0/16' as Cidr] })
  const zone = zoneWith(['b', back('asker', ['asker'], '10.2.0.2')], ['db', back('db', ['db'], '10.2.0.3')])
  t.strictSame(told('db.tsnet.internal', 'A', zone), ['10.2.0.3'])
  const other = { ip: '10.1.0.4' as Ip }
  t.equal(told('db.tsnet.internal', 'A', zone, other), 'NXDOMAIN', 'who is on one network alone')
  zone.tell('b', undefined)
  t.equal(told('db.tsnet.internal', 'A', zone), 'NXDOMAIN', 'who is no longer on both')
})

t.test(
  'who may not ask others is told that there is no such name; strangers and the host are refused',
  async t => {
    const inside: Known = known({ container: 'in', addresses: ['10.1.0.7' as Ip] })
    delete inside.upstream
    const zone = zoneWith(['in', inside])
    t.equal(told('example.com', 'A', zone, { ip: '10.1.0.7' as Ip }), 'NXDOMAIN')
    t.equal(told('example.com', 'A', zone, { ip: '10.1.0.99' as Ip }), 'REFUSED')
    t.equal(told('example.com', 'A', zone, { ip: '10.1.0.1' as Ip, isHost: true }), 'REFUSED')
    t.strictSame(told('web', 'A', zone, { ip: '10.1.0.1' as Ip, isHost: true }), ['10.1.0.3'])
  },
)

t.test('an answer fits where it goes, and says when it is cut', async t => {
  const many = Array.from({ length: 400 }, (_, i) => `10.1.${1 + (i >> 8)}.${i & 255}` as Ip)
  const zone = zoneWith(['many', known({ container: 'many', names: ['many'], addresses: many })])
  const size = (message: Uint8Array, by: Partial<Asker> = {}) => {
    const outcome = answer(message, { ...asker, ...by }, zone)
    if (outcome?.kind !== 'answer') return undefined
    const { flag_tc: cut, answers } = decode(Buffer.from(outcome.bytes)) as never as {
      flag_tc: boolean
      answers: unknown[]
    }
    return { length: outcome.bytes.length, cut, count: answers.length }
  }
  const edns = (udpPayloadSize: number): Partial<Packet> => ({
    additionals: [
      {
        name: '.',
        type: 'OPT',
        udpPayloadSize,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  })
  t.match(size(question('many')), { cut: true, count: 30 })
  t.ok((size(question('many'))?.length ?? 999) <= 512)
  t.match(size(question('many', 'A', edns(4096))), { cut: true, count: 74 })
  t.match(size(question('many', 'A', edns(100))), { cut: true, count: 29 }, 'nobody takes less than 512')
  t.match(size(question('many'), { carrier: 'tcp' }), { cut: false, count: 400 })
})

t.test('what is no question gets an error, or silence', async t => {
  const good = question('web')
  const changed = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(good)
    change(bytes)
    return bytes
  }
  t.equal(ask(good.subarray(0, 11)), undefined, 'shorter than a header')
  t.equal(ask(changed(bytes => bytes.writeUInt16BE(0x8000, 2))), undefined, 'an answer')
  const code = (bytes: Uint8Array) => {
    const said = ask(bytes)
    return typeof said === 'object' ? (said as never as { rcode: string }).rcode : said
  }
  t.equal(code(changed(bytes => bytes.writeUInt16BE(0x2800, 2))), 'NOTIMP', 'an update')
  t.equal(code(changed(bytes => bytes.writeUInt16BE(2, 4))), 'FORMERR', 'two questions')
  t.equal(code(changed(bytes => bytes.writeUInt16BE(0xffff, 4))), 'FORMERR', '65 535 questions')
  t.equal(code(good.subarray(0, good.length - 1)), 'FORMERR', 'cut off')
  t.equal(code(changed(bytes => bytes.writeUInt16BE(0xc00c, 12))), 'FORMERR', 'a name that points to itself')
  t.equal(code(changed(bytes => bytes.writeUInt8(64, 12))), 'FORMERR', 'a label of 64')
  t.equal(code(changed(bytes => bytes.writeUInt16BE(3, bytes.length - 2))), 'REFUSED', 'class CH')
  t.equal(told('a.b.c'.padEnd(20, 'x')), 'forward', 'a name that nobody has')
})

t.test('the question comes back as it was', async t => {
  const said = ask(question('WeB'))
  t.equal(typeof said === 'object' && said.questions?.[0]?.name, 'WeB')
  t.equal(typeof said === 'object' && said.answers?.[0]?.name, 'WeB')
})
