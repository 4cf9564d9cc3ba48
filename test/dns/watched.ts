/** What is reported of clients that somebody watches. */

import { encode } from 'dns-packet'
import t from 'tap'
import type { Asker } from '../../src/dns/answer.ts'
import { readAnswer } from '../../src/dns/forward.ts'
import { FRESH_ADDRESSES } from '../../src/dns/permit.ts'
import { isRefused, readQuery } from '../../src/dns/query.ts'
import { Watched, type WatchedReport } from '../../src/dns/watched.ts'
import { type Known, Zone } from '../../src/dns/zone.ts'
import type { Ip } from '../../src/model/address/address.ts'

const known = (ip: string, isWatched: boolean): Known => ({
  network: 'n',
  container: `of ${ip}`,
  names: [],
  addresses: [ip as Ip],
  subnets: [],
  domain: 'd',
  ...(isWatched && { isWatched }),
})

const asker = (ip: string): Asker => ({ network: 'n', ip: ip as Ip, carrier: 'udp', isHost: false })

function answered(name: string, ...addresses: string[]) {
  const question = { name, type: 'A' as const }
  const query = readQuery(encode({ type: 'query', id: 9, questions: [question] }))
  if (query === undefined || isRefused(query)) throw new Error('it is no query')
  const answers = addresses.map(data => ({ name, type: 'A' as const, ttl: 5, data }))
  const said = readAnswer(
    new Uint8Array(encode({ type: 'response', id: 5, questions: [question], answers })),
    query,
    5,
  )
  if (said === undefined) throw new Error('it is no answer')
  return [query, said] as const
}

t.test(
  'all that a watched client is told is reported, once a second, and nothing of anybody else',
  async t => {
    const zone = new Zone()
    const reports: WatchedReport[] = []
    const watched = new Watched(zone, report => reports.push(report))
    zone.tell('a', known('10.1.0.2', true))
    zone.tell('b', known('10.1.0.3', false))
    const www = answered('WWW.example.org', '192.0.2.1', '192.0.2.2')
    watched.note(asker('10.1.0.3'), ...www)
    watched.note(asker('10.1.0.9'), ...www)
    watched.note(asker('10.1.0.2'), ...answered('empty.example.org'))
    for (let n = 0; n < 3; n++) watched.note(asker('10.1.0.2'), ...www)
    watched.note(asker('10.1.0.2'), ...answered('other.example.org', '192.0.2.1'))
    t.strictSame(reports, [], 'those of one turn go together')
    await null
    const of = { network: 'n', ip: '10.1.0.2' }
    const tellings = [
      { ...of, name: 'www.example.org', addresses: ['192.0.2.1', '192.0.2.2'] },
      { ...of, name: 'other.example.org', addresses: ['192.0.2.1'] },
    ]
    t.strictSame(reports, [{ kind: 'watched', tellings }])
    watched.forget()
    watched.note(asker('10.1.0.2'), ...www)
    await null
    t.equal(reports.length, 2, 'a new watcher hears of it, too')
    zone.tell('a', known('10.1.0.2', false))
    watched.forget()
    watched.note(asker('10.1.0.2'), ...www)
    await null
    t.equal(reports.length, 2, 'when nobody watches any more, nothing is said')
  },
)

t.test('an answer of very many addresses is reported each time, and kept nowhere', async t => {
  const zone = new Zone()
  const reports: WatchedReport[] = []
  const watched = new Watched(zone, report => reports.push(report))
  zone.tell('a', known('10.1.0.2', true))
  const told = async (count: number) => {
    reports.length = 0
    const addresses = Array.from({ length: count }, (_, i) => `192.0.2.${i}`)
    for (let n = 0; n < 2; n++) watched.note(asker('10.1.0.2'), ...answered('www.example.org', ...addresses))
    await null
    return reports.flatMap(({ tellings }) => tellings).length
  }
  t.equal(await told(FRESH_ADDRESSES), 1, 'control')
  t.equal(await told(FRESH_ADDRESSES + 1), 2)
})
