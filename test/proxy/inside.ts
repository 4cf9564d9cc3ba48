/** Which address of a container is dialled from inside. */

import t from 'tap'
import type { Ip } from '../../src/model/address/address.ts'
import { InsidePlaces, placeToDial } from '../../src/proxy/inside.ts'

const V4 = '10.9.0.2' as Ip
const V6 = 'fd09::2' as Ip

t.test('a service is dialled where it listens: at an own address before loopback', async t => {
  const cases: [places: string[], own: Ip[], dialled: string][] = [
    [['0.0.0.0'], [V4], V4],
    [['0.0.0.0'], [V4, V6], V4],
    [['127.0.0.1', V4], [V4], V4],
    [['127.0.0.1'], [V4], '127.0.0.1'],
    [['127.0.0.11'], [V4], '127.0.0.11'],
    [['::1'], [V4, V6], '::1'],
    [[V6], [V4, V6], V6],
    [['::'], [V4, V6], V6],
    [['::'], [V4], V4],
    [['::'], [], '127.0.0.1'],
    [['0.0.0.0'], [], '127.0.0.1'],
    [['0.0.0.0'], [V6], '127.0.0.1'],
    [[], [V4], V4],
    [[], [], '127.0.0.1'],
  ]
  for (const [places, own, dialled] of cases)
    t.equal(placeToDial(places as Ip[], own), dialled, `${places} of ${own}`)
})

t.test('loopback is dialled from an own address, but for datagrams, whose answers would be lost', async t => {
  const streams = new InsidePlaces([V4, V6], 'tcp')
  t.equal(streams.sourceFor('127.0.0.1' as Ip), V4)
  t.equal(streams.sourceFor('::1' as Ip), V6)
  t.equal(streams.sourceFor(V4), undefined)
  t.equal(new InsidePlaces([V4], 'udp').sourceFor('127.0.0.1' as Ip), undefined)
  t.equal(new InsidePlaces([], 'tcp').sourceFor('127.0.0.1' as Ip), undefined)
})
