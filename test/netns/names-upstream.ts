/**
 *     client eth0 ───────────── lan0 host ─┬─ br-front 10.10.0.1 ─── a, b, c
 *       name server of others              └─ br-back  10.20.0.1 ─── c, d
 *
 * Containers find each other by names that the gateways of their networks tell.
 */

import t from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import { askTcp, askUdp, NameServer } from '../support/dns.ts'
import { dataOf, FRONT, NAMES, named, withNames } from '../support/names.ts'
import { CLIENT } from '../support/scene.ts'

t.setTimeout(600_000)

t.test('other names are asked elsewhere, and on a network without a way out nowhere', async t => {
  const { scene, tsnet, front } = await withNames(t, 'nftables', 'a', 'b')
  using others = await NameServer.at(scene.client, CLIENT[4], (name, type) =>
    type === 'A' ? [{ name, type: 'A', data: '192.0.2.7' }] : [],
  )
  await tsnet.daemon()
  const [a, b] = [scene.get('a'), scene.get('b')]
  await front.add(a, named('web'))
  for (const ask of [askUdp, askTcp])
    t.strictSame(dataOf(await ask(a, { server: FRONT, name: 'example.com' })), ['192.0.2.7'])
  t.strictSame(dataOf(await askUdp(a, { server: FRONT, name: 'example.com', type: 'AAAA' })), [])
  const asked = others.asked.length
  t.equal(dataOf(await askUdp(scene.host, { server: FRONT, name: 'example.com' })), 'REFUSED', 'the host')
  const inside = scene.network('inside', 30, {
    ...NAMES,
    isDefaultGateway: false,
    isGateway: true,
    ipMasq: false,
  })
  await inside.add(b, named('in'))
  t.equal(dataOf(await askUdp(b, { server: '10.30.0.1', name: 'example.com' })), 'NXDOMAIN')
  t.match(await askUdp(b, { server: '10.30.0.1', name: 'in' }), { code: 'NOERROR' })
  t.equal(others.asked.length, asked)
})

t.test('whom the host asks is asked, as its resolv.conf says it now', async t => {
  const { scene, tsnet } = await withNames(t, 'nftables', 'a')
  await scene.host.tmpfs('/etc')
  using others = await NameServer.at(scene.client, CLIENT[4], name => [
    { name, type: 'A', data: '192.0.2.7' },
  ])
  using here = await NameServer.at(scene.host, '127.0.0.53', name => [
    { name, type: 'A', data: '192.0.2.53' },
  ])
  await scene.host.run('sh', '-c', 'echo nameserver 127.0.0.53 >/etc/resolv.conf')
  await tsnet.daemon()
  const a = scene.get('a')
  await scene.network('front', 10, { names: true }).add(a, named('web'))
  t.strictSame(
    dataOf(await askUdp(a, { server: FRONT, name: 'example.com' })),
    ['192.0.2.53'],
    'a stub of the host',
  )
  await scene.host.run('sh', '-c', `echo nameserver ${CLIENT[4]} >/etc/resolv.conf`)
  await waitFor(
    async () =>
      JSON.stringify(dataOf(await askUdp(a, { server: FRONT, name: 'example.com' }))) === '["192.0.2.7"]',
    { what: 'the new one to be asked' },
  )
  await scene.host.run('sh', '-c', `echo nameserver ${FRONT} >/etc/resolv.conf`)
  await waitFor(async () => dataOf(await askUdp(a, { server: FRONT, name: 'example.com' })) === 'SERVFAIL', {
    what: 'ourselves not to be asked',
  })
  t.ok(others.asked.length > 0 && here.asked.length > 0)
})

t.test('daemons follow each other, and no question is lost', async t => {
  const { scene, tsnet, front } = await withNames(t, 'nftables', 'a')
  using _ = await NameServer.at(scene.client, CLIENT[4], name => [{ name, type: 'A', data: '192.0.2.7' }])
  let daemon: Running = await tsnet.daemon()
  const a = scene.get('a')
  await front.add(a, named('web'))
  let isOver = false
  let count = 0
  const wrong: unknown[] = []
  const asking = (async () => {
    while (!isOver) {
      const name = count % 2 === 0 ? 'web' : 'example.com'
      const ask = count % 3 === 0 ? askTcp : askUdp
      const said = await ask(a, { server: FRONT, name })
      if (typeof said === 'string' || said.data.length !== 1) wrong.push({ name, ask: ask.name, said })
      count++
    }
  })()
  for (let i = 0; i < 5; i++) {
    const before = daemon
    daemon = await tsnet.daemon('--replace')
    t.equal((await before.finished).code, 0)
  }
  isOver = true
  await asking
  t.comment(`${count} questions`)
  t.ok(count > 50)
  t.strictSame(wrong, [])
})
