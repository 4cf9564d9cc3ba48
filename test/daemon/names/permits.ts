/** What a daemon says of names that its containers are told. */

import t from 'tap'
import type { Told } from '../../../src/daemon/names/known.ts'
import { NamePermits } from '../../../src/daemon/names/permits.ts'
import type { Ip } from '../../../src/model/address/address.ts'
import type { NamePattern } from '../../../src/model/address/name-pattern.ts'

const toldOf = (ip: string): Told => ({
  known: { network: 'front', container: ip, names: [], addresses: [ip as Ip], subnets: [] },
  places: [],
  named: [{ to: '*.example.org' as NamePattern }],
})

/** To an address that no name allows. */
const asks = (ip: string, name: string, ...addresses: string[]) => [
  { network: 'front', ip: ip as Ip, name, addresses: addresses as Ip[], ttlS: 60 },
]

t.test('a container does not choose how much is said of the names that it asks for', t => {
  const lines: string[] = []
  const permits = new NamePermits(line => lines.push(line))
  permits.change('0000000000000001', undefined, toldOf('10.1.0.2'))
  permits.change('0000000000000002', undefined, toldOf('10.1.0.3'))
  const near = Array.from({ length: 1_000 }, (_, i) => `10.9.${i >> 8}.${i & 255}`)
  permits.permit(asks('10.1.0.2', 'one.example.org', ...near))
  t.strictSame(lines, [
    'name one.example.org: container 10.1.0.2 of network front is led to 10.9.0.0, 10.9.0.1, 10.9.0.2, 10.9.0.3 and 996 more by it: a name does not allow that, an entry of the address would',
  ])
  for (const address of near) permits.permit(asks('10.1.0.2', 'one.example.org', address))
  t.equal(lines.length, 1, 'one name is said once, wherever it leads')
  for (const address of near) permits.permit(asks('10.1.0.2', `n${address}.example.org`, address))
  t.equal(lines.length, 33)
  t.equal(lines.at(-1), 'container 10.1.0.2 of network front: no more is said of the names that it asks for')
  permits.permit(asks('10.1.0.3', 'one.example.org', '10.9.0.1'))
  t.equal(lines.length, 34, 'a control: of others it is')
  t.end()
})
