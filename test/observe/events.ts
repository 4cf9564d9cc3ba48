/** What is noticed, of what there was and what there is. */

import t from 'tap'
import type { Ip } from '../../src/model/address/address.ts'
import type { Container, Publication } from '../../src/model/publication/publication.ts'
import type { Found } from '../../src/network/reconcile/reconcile.ts'
import type { PortCounts } from '../../src/observe/counters.ts'
import { Events } from '../../src/observe/events.ts'
import type { Told } from '../../src/observe/happening.ts'
import type { Seen } from '../../src/observe/seen.ts'
import type { Counters } from '../../src/proxy/proxy.ts'

const seen = (name: string, createdAt = '1'): Seen => ({
  owner: `owner of ${name}`,
  network: 'front',
  containerId: `id of ${name}`,
  ifname: 'eth0',
  name,
  addresses: ['10.1.0.2' as Ip],
  ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 2 }],
  createdAt,
  hostInterface: 'veth0',
})
const none = { denied: 0, refused: 0, evicted: 0 } as Counters
const port = { id: 'p', protocol: 'udp', hostPort: 53, count: 1, containers: [], hostIp: '::1' }

function open() {
  const state = {
    attached: [seen('web')],
    counters: new Map([['p', none]]),
    denied: new Map([['owner of web', 7]]),
  }
  const told: Told[] = []
  const sources = {
    attached: () => state.attached,
    counters: () => state.counters,
    ports: () => [port as unknown as PortCounts],
    denied: () => state.denied,
    deniedSince: () => ['192.0.2.9:443/tcp'],
  }
  const events = new Events(sources, happened => told.push(happened))
  const news = () => told.splice(0).map(({ event, about: { time: _, ...about } }) => ({ event, ...about }))
  return { state, events, news }
}

const attachment = (name: string) => ({
  id: `owner of ${name}`,
  containers: [{ id: `id of ${name}`, name }],
  network: 'front',
  ifname: 'eth0',
  addresses: ['10.1.0.2'],
  ports: ['8080-8081/tcp'],
})

t.test('who came and who left is told, and what there was before is not', async t => {
  const { state, events, news } = open()
  await events.look()
  events.soon()
  t.strictSame(news(), [], 'nobody listens')
  events.heard(true)
  await events.look()
  t.strictSame(news(), [], 'nothing is new')
  state.attached = [seen('api'), seen('web', '2')]
  await events.look()
  t.strictSame(news(), [
    { event: 'detach', ...attachment('web') },
    { event: 'attach', ...attachment('api') },
    { event: 'attach', ...attachment('web') },
  ])
  state.attached = []
  await events.look()
  t.strictSame(
    news().map(({ event }) => event),
    ['detach', 'detach'],
  )
  events.heard(false)
  state.attached = [seen('web')]
  await events.look()
  t.strictSame(news(), [])
})

t.test('refused and evicted are told by number since the last look, with the reason', async t => {
  const { state, events, news } = open()
  events.heard(true)
  state.counters = new Map([['p', { ...none, refused: 5, denied: 3, evicted: 2 }]])
  await events.look()
  const about = {
    id: 'p',
    containers: [],
    ports: ['[::1]:53/udp'],
    protocol: 'udp',
    hostIp: '::1',
    hostPort: 53,
    count: 1,
  }
  t.strictSame(news(), [
    { event: 'refused', ...about, why: 'source not allowed', number: 3 },
    { event: 'refused', ...about, why: 'limit reached', number: 2 },
    { event: 'evicted', ...about, number: 2 },
  ])
  await events.look()
  t.strictSame(news(), [])
  state.counters = new Map([['p', none]])
  await events.look()
  t.strictSame(news(), [], 'it was published again')
})

t.test('a publication says what became of it, and whom it led to', async t => {
  const { events, news } = open()
  const container = (name: string) => ({ id: `id of ${name}`, name }) as Container
  const publication = {
    id: 'aa',
    protocol: 'tcp',
    hostPort: 80,
    count: 1,
    containers: [container('web')],
  } as unknown as Publication
  events.publication('published', publication)
  t.strictSame(news(), [])
  events.heard(true)
  events.publication('published', publication)
  events.publication('replaced', publication, { from: [container('old')] })
  events.publication('waiting', publication, { why: 'it does not run' })
  events.publication('expired', publication)
  events.held('9000/tcp → web', 'somebody has it')
  events.passedOn({ owner: 'owner of web', protocol: 'tcp', hostPort: 1, count: 1 }, 'owner of nobody')
  events.handedOver(7)
  const about = {
    id: 'aa',
    containers: [{ id: 'id of web', name: 'web' }],
    ports: ['80/tcp'],
    protocol: 'tcp',
    hostPort: 80,
    count: 1,
  }
  t.strictSame(news(), [
    { event: 'publish', ...about },
    { event: 'moved', ...about, from: [{ id: 'id of old', name: 'old' }] },
    { event: 'waiting', ...about, why: 'it does not run' },
    { event: 'unpublish', ...about, why: 'expired' },
    { event: 'waiting', ports: ['9000/tcp → web'], why: 'somebody has it' },
    {
      event: 'moved',
      id: 'owner of nobody',
      from: about.containers,
      ports: ['1/tcp'],
      protocol: 'tcp',
      hostPort: 1,
      count: 1,
    },
    { event: 'hand-over', pid: 7 },
  ])
})

t.test('what was put back is told by subject, and not all of it', async t => {
  const { events, news } = open()
  events.heard(true)
  const lost = (
    subject: string,
    what: string,
    outcome: Found['outcome'],
    more: Partial<Found> = {},
  ): Found => ({
    subject,
    what,
    outcome,
    ...more,
  })
  const web = { owner: 'o', network: 'front', containerId: 'id', name: 'web' }
  events.reconciled([
    ...Array.from({ length: 11 }, (_, i) => lost('rules', `rule ${i}`, 'restored')),
    lost('bridge cni0', 'a port', 'kept', { why: 'it is gone', ...web }),
    lost('limits', 'x', 'found'),
  ])
  t.strictSame(news(), [
    {
      event: 'reconciled',
      subject: 'rules',
      what: Array.from({ length: 10 }, (_, i) => `rule ${i}`),
      number: 11,
      outcome: 'restored',
    },
    {
      event: 'reconciled',
      subject: 'bridge cni0',
      what: ['a port'],
      number: 1,
      outcome: 'kept',
      why: 'it is gone',
      containers: [{ id: 'id', name: 'web' }],
      network: 'front',
    },
  ])
})

t.test(
  'what a container is denied is told at once, and then together; what was denied before is not',
  async t => {
    const { state, events, news } = open()
    events.heard(true)
    await events.look()
    t.strictSame(news(), [], 'nothing is new')
    const { ports: _, addresses: __, ...web } = attachment('web')
    state.denied = new Map([['owner of web', 9]])
    await events.look()
    t.strictSame(news(), [{ event: 'denied', ...web, what: ['192.0.2.9:443/tcp'], number: 2 }])
    state.denied = new Map([['owner of web', 30]])
    await events.look()
    t.strictSame(news(), [], 'a flood is no flood of events')
    events.heard(false)
    state.denied = new Map([['owner of web', 31]])
    events.heard(true)
    // Its list was made anew.
    state.denied = new Map([['owner of web', 1]])
    await events.look()
    t.match(news(), [{ event: 'denied', number: 1 }])
  },
)
