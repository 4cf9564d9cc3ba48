/** A container's service, published, and asked from everywhere; by bridge and from inside. */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Ip } from '../../src/model/address/address.ts'
import { TestProxy } from '../support/published.ts'
import { street } from '../support/street.ts'

const ip = (text: string) => text as Ip
const LOCAL = ['127.0.0.1', '127.0.0.2', '::1', '192.168.50.1', '192.168.50.77', 'fd50::1', '10.9.0.1']
const REMOTE = ['192.168.50.1', '192.168.50.77', 'fd50::1', 'fd50::77']

for (const transport of ['tcp', 'udp'] as const) {
  t.test(`${transport}: every address of the host answers, and the service never sees 127.0.0.1`, async t => {
    await using place = await street()
    const { host, client, web } = place
    await using proxy = new TestProxy({}, host)
    web.listen(transport, 80)
    const options = { protocol: transport, hostPort: 8080 }
    proxy.publish([{ ip: ip('10.9.0.2'), port: 80 }], options)
    proxy.publish([{ ip: ip('fd09::2'), port: 80 }], { ...options, hostPort: 8086 })
    for (const address of LOCAL) {
      t.match(await host.ask(transport, address, 8080), { place: 'web', peer: '10.9.0.1' }, address)
      t.match(await host.ask(transport, address, 8086), { place: 'web', peer: 'fd09::1' }, address)
    }
    for (const address of REMOTE) {
      t.match(await client.ask(transport, address, 8080), { place: 'web', peer: '10.9.0.1' }, address)
    }
    t.match(await web.ask(transport, '10.9.0.1', 8080), { place: 'web', peer: '10.9.0.1' }, 'itself')
  })

  t.test(`${transport}: a service on the container's own loopback is reached from inside`, async t => {
    await using place = await street()
    const { host, client, web, hollow } = place
    await using proxy = new TestProxy({}, host)
    const netns = host.path(web.path)
    web.listen(transport, 80, '127.0.0.1')
    hollow.listen(transport, 80, '::1')
    const publish = (hostPort: number, target: { netns: string } & ({ ip: Ip } | { own: Ip[] })) =>
      proxy.publish([{ port: 80, ...target }], { protocol: transport, hostPort })
    publish(8081, { ip: ip('127.0.0.1'), netns })
    publish(8082, { own: [ip('10.9.0.2')], netns })
    publish(8083, { ip: ip('::1'), netns: host.path(hollow.path) })
    for (const [place, address] of [
      [host, '127.0.0.1'],
      [host, '::1'],
      [client, '192.168.50.1'],
      [client, 'fd50::1'],
    ] as const) {
      t.match(await place.ask(transport, address, 8081), { place: 'web', peer: '127.0.0.1' })
      // A stream comes from the container's own address, a datagram to loopback from loopback only.
      const peer = transport === 'tcp' ? '10.9.0.2' : '127.0.0.1'
      t.match(await place.ask(transport, address, 8082), { place: 'web', peer })
      t.match(await place.ask(transport, address, 8083), { place: 'hollow', peer: '::1' })
    }
    t.strictSame(proxy.faults, [])
  })
}

t.test('all addresses are both families and :: is one, whatever net.ipv6.bindv6only says', async t => {
  await using place = await street()
  const { host, web } = place
  web.listen('tcp', 80)
  const target = [{ ip: ip('10.9.0.2'), port: 80 }]
  for (const only of [0, 1]) {
    await host.run('sysctl', '-qw', `net.ipv6.bindv6only=${only}`)
    await using proxy = new TestProxy({}, host)
    // The target's port is counted up, too: only the first of a range is served.
    proxy.publish(target, { hostPort: 8080, count: 3 })
    proxy.publish(target, { hostPort: 8090, count: 3, hostIps: [ip('::')] })
    for (const address of ['127.0.0.1', '::1']) {
      t.match(await host.ask('tcp', address, 8080), { place: 'web' }, `${address}, ${only}`)
      await t.rejects(host.ask('tcp', address, 8082), { code: 'ECONNRESET' }, `${address}, ${only}`)
    }
    t.match(await host.ask('tcp', '::1', 8090), { place: 'web' }, `::, ${only}`)
    for (const port of [8090, 8092]) {
      await t.rejects(host.ask('tcp', '127.0.0.1', port), { code: 'ECONNREFUSED' }, `::, ${only}`)
    }
  }
})

t.test('dialling from inside leaves the worker at home', async t => {
  await using place = await street()
  const { host, client, web } = place
  await using proxy = new TestProxy({}, host)
  web.listen('tcp', 80)
  const inside = { ip: ip('127.0.0.1'), port: 80, netns: host.path(web.path) }
  proxy.publish([inside], { hostPort: 8081 })
  proxy.publish([{ ip: ip('10.9.0.2'), port: 80 }], { hostPort: 8080 })
  await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const peer = i % 2 === 0 ? '10.9.0.1' : '127.0.0.1'
      const answer = await client.ask('tcp', '192.168.50.1', 8080 + (i % 2), { withinMs: 20_000 })
      if (answer.peer !== peer) t.equal(answer.peer, peer)
    }),
  )
  t.match(proxy.proxy.counters().get('publication 1'), { accepted: 100, failed: 0 })
})

t.test('a target that vanishes with its network is a reset after the time allowed', async t => {
  await using place = await street()
  const { host, client, web } = place
  await using proxy = new TestProxy({}, host)
  const target = [{ ip: ip('10.9.0.2'), port: 80 }]
  const published = proxy.publish(target, { hostPort: 8080, options: { connectTimeoutMs: 300 } })
  web.listen('tcp', 80)
  t.match(await client.ask('tcp', '192.168.50.1', 8080), { place: 'web' })
  await waitFor(() => published.counters().active === 0, { what: 'the first to be gone' })
  await web.run('ip', 'link', 'set', 'eth0', 'down')
  await t.rejects(client.ask('tcp', '192.168.50.1', 8080, { withinMs: 5000 }), { code: 'ECONNRESET' })
  t.match(published.counters(), { failed: 1, active: 0 })
})

t.test('a port in use on one address is refused for all, and nothing stays bound', async t => {
  await using place = await street()
  const { host } = place
  await using proxy = new TestProxy({}, host)
  const taken = host.listen('tcp', 8083, '10.9.0.1')
  const target = [{ ip: ip('10.9.0.2'), port: 80 }]
  t.throws(() => proxy.publish(target, { hostPort: 8080, count: 5 }), {
    code: 'conflict',
    message: /port 8083\/tcp is already in use/,
  })
  t.throws(() => proxy.publish(target, { hostPort: 8080, hostIps: [ip('192.0.2.1')] }), {
    code: 'invalid-config',
    message: /192\.0\.2\.1:8080\/tcp is not an address of this host/,
  })
  t.throws(() => proxy.publish(target, { hostPort: 8080, protocol: 'sctp' }), {
    code: 'missing',
    message: /this kernel has no SCTP/,
  })
  taken.close()
  t.equal(proxy.publish(target, { hostPort: 8080, count: 5 }).port, 8080)
})
