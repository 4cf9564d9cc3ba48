/** What is said before a client has an answer, and how the answer then is. */

import { decode, encode } from 'dns-packet'
import t from 'tap'
import type { Asker } from '../../src/dns/answer.ts'
import { readAnswer } from '../../src/dns/forward.ts'
import { FRESH_ADDRESSES, type Permit, type PermitReport, Permits } from '../../src/dns/permit.ts'
import { isRefused, readQuery } from '../../src/dns/query.ts'
import { type Known, Zone } from '../../src/dns/zone.ts'
import type { Ip } from '../../src/model/address/address.ts'
import type { NamePattern } from '../../src/model/address/name-pattern.ts'

const known = (container: string, ip: string, network = 'n', permitted?: string[]): Known => ({
  network,
  container,
  names: [],
  addresses: [ip as Ip],
  subnets: [],
  domain: 'd',
  upstream: [],
  ...(permitted && { permitted: permitted as NamePattern[] }),
})

const asker = (ip: string, network = 'n'): Asker => ({ network, ip: ip as Ip, carrier: 'udp', isHost: false })

const QUESTION = { name: 'WWW.example.org', type: 'A' as const }

function answered(count = 2) {
  const query = readQuery(encode({ type: 'query', id: 9, questions: [QUESTION] }))
  if (query === undefined || isRefused(query)) throw new Error('it is no query')
  const bytes = encode({
    type: 'response',
    id: 5,
    questions: [QUESTION],
    answers: [
      { name: QUESTION.name, type: 'CNAME', ttl: 9_000, data: 'cdn.example.net' },
      ...Array.from({ length: count }, (_, i) => ({
        name: 'cdn.example.net',
        type: 'A' as const,
        ttl: 5,
        data: `192.0.2.${i + 1}`,
      })),
    ],
    additionals: [{ name: 'ns.example.net', type: 'A', ttl: 5, data: '192.0.2.53' }],
  })
  const said = readAnswer(new Uint8Array(bytes), query, 5)
  if (said === undefined) throw new Error('it is no answer')
  return { query, said }
}

function scene() {
  const zone = new Zone()
  const reports: PermitReport[] = []
  return { zone, reports, permits: new Permits(zone, report => reports.push(report)) }
}

t.test('an answer waits until its addresses are let through, for whom a list has the name', async t => {
  const { zone, reports, permits } = scene()
  zone.tell('a', known('boxed', '10.1.0.2', 'n', ['*.example.org']))
  zone.tell('b', known('boxed', '10.2.0.2', 'other'))
  zone.tell('c', known('free', '10.1.0.3'))
  const { query, said } = answered()
  t.equal(permits.before(asker('10.1.0.3'), query, said), said, 'others have it at once')
  const waiting = permits.before(asker('10.2.0.2', 'other'), query, said)
  t.type(waiting, Promise, 'by whichever of its networks it asks')
  const permit = {
    network: 'other',
    ip: '10.2.0.2',
    name: 'www.example.org',
    addresses: ['192.0.2.1', '192.0.2.2'],
    ttlS: 9_000,
  }
  const another = permits.before(asker('10.1.0.2'), query, said)
  t.strictSame(reports, [], 'those of one turn go together')
  await null
  const more = { ...permit, network: 'n', ip: '10.1.0.2' }
  t.strictSame(reports, [{ kind: 'permit', number: 1, permits: JSON.stringify([permit, more]) }])
  permits.take({ kind: 'permitted', number: 1, ttlsMaxS: [60, undefined] })
  t.equal(await another, undefined, 'it is not let')
  const { answers = [] } = decode(Buffer.from((await waiting)?.bytes ?? []))
  t.strictSame(
    answers.map(each => 'ttl' in each && each.ttl),
    [60, 5, 5],
    'none lasts longer than it may',
  )
  t.notOk(
    permits.before(asker('10.2.0.2', 'other'), query, said) instanceof Promise,
    'nor waits again at once',
  )
  t.ok(permits.before(asker('10.1.0.2'), query, said) instanceof Promise, 'but who was refused does')
  permits.forget()
  t.ok(
    permits.before(asker('10.2.0.2', 'other'), query, said) instanceof Promise,
    'and whoever may be another',
  )
})

t.test('where it is not let the client has no answer, and whose list is gone has it at once', async t => {
  const { zone, permits } = scene()
  const { query, said } = answered()
  zone.tell('a', known('boxed', '10.1.0.2', 'n', ['www.example.org']))
  const waiting = permits.before(asker('10.1.0.2'), query, said)
  await null
  permits.take({ kind: 'permitted', number: 1, ttlsMaxS: [undefined] })
  t.equal(await waiting, undefined)
  zone.tell('a', known('boxed', '10.1.0.2'))
  t.equal(permits.before(asker('10.1.0.2'), query, said), said)
})

t.test('what comes while a message is on its way goes together in the next', async t => {
  const { zone, reports, permits } = scene()
  const { query, said } = answered()
  const ips = ['10.1.0.2', '10.1.0.3', '10.1.0.4']
  for (const ip of ips) zone.tell(ip, known(ip, ip, 'n', ['www.example.org']))
  const answers = []
  for (const ip of ips) {
    answers.push(permits.before(asker(ip), query, said))
    await null
  }
  const asked = () => reports.map(({ permits }) => JSON.parse(permits).map(({ ip }: Permit) => ip))
  t.strictSame(asked(), [['10.1.0.2']])
  permits.take({ kind: 'permitted', number: 1, ttlsMaxS: [60] })
  t.ok(await answers[0])
  t.strictSame(asked(), [['10.1.0.2'], ['10.1.0.3', '10.1.0.4']])
  permits.take({ kind: 'permitted', number: 1, ttlsMaxS: [60, 60] })
  permits.take({ kind: 'permitted', number: 2, ttlsMaxS: [undefined, 60] })
  t.equal(await answers[1], undefined, 'not by what was said of another message')
  t.ok(await answers[2])
  t.equal(reports.length, 2, 'and nothing is said where nothing waits')
})

t.test('an answer of very many addresses is said each time, and kept nowhere', async t => {
  for (const [count, isKept] of [
    [FRESH_ADDRESSES, true],
    [FRESH_ADDRESSES + 1, false],
  ] as const) {
    const { zone, permits } = scene()
    const { query, said } = answered(count)
    zone.tell('a', known('boxed', '10.1.0.2', 'n', ['www.example.org']))
    const waiting = permits.before(asker('10.1.0.2'), query, said)
    await null
    permits.take({ kind: 'permitted', number: 1, ttlsMaxS: [60] })
    t.ok(await waiting)
    t.equal(permits.before(asker('10.1.0.2'), query, said) instanceof Promise, !isKept, `${count}`)
  }
})
