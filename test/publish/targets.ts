/** Which way the proxy takes to a container. */

import t from 'tap'
import type { Cidr, Ip } from '../../src/model/address/address.ts'
import type { Container, Publication } from '../../src/model/publication/publication.ts'
import { targetsOf } from '../../src/publish/plan.ts'
import { publication } from '../support/publications.ts'

const web: Container = {
  runtime: 'docker',
  id: '4f',
  name: 'web',
  reference: 'docker:web',
  pid: 812,
  netns: { path: '/proc/812/ns/net', dev: 4, ino: 7 },
  addresses: ['10.9.0.2/24' as Cidr],
  bridge: 'br0',
  ownAddress: '10.9.0.2' as Ip,
}
const { ownAddress: _, bridge: __, ...rest } = web
const bare: Container = { ...rest, addresses: [] }

const targets = (container: Container, more: Partial<Publication> = {}) =>
  targetsOf(publication({ containers: [container], ...more }))

t.test('a container behind a bridge is dialled there', async t => {
  t.strictSame(targets(web), [{ ip: '10.9.0.2', port: 80 }])
})

t.test('from inside, it is dialled at an address of its own, as far as it has some', async t => {
  const inside = { port: 80, netns: '/proc/812/ns/net' }
  t.strictSame(targets(web, { via: 'netns' }), [{ ...inside, own: ['10.9.0.2'] }])
  const dual = { ...web, addresses: ['10.9.0.2/24', 'fd09::2/64'] as Cidr[] }
  t.strictSame(targets(dual, { via: 'netns' }), [{ ...inside, own: ['10.9.0.2', 'fd09::2'] }])
  t.strictSame(targets(bare), [{ ...inside, own: [] }])
})

t.test('a way that does not exist is refused', async t => {
  t.throws(() => targets(bare, { via: 'bridge' }), { code: 'invalid-environment', message: /--via netns/ })
})

t.test('a socket is looked for in the root of the process', async t => {
  t.strictSame(targets(web, { target: { socket: '/run/web.sock' } }), [
    { root: '/proc/812/root', path: '/run/web.sock' },
  ])
  const { pid: _, ...nobody } = web
  t.throws(() => targets(nobody, { target: { socket: '/run/web.sock' } }), { message: /names no process/ })
})
