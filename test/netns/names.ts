/**
 *     client eth0 ───────────── lan0 host ─┬─ br-front 10.10.0.1 ─── a, b, c
 *       name server of others              └─ br-back  10.20.0.1 ─── c, d
 *
 * Containers find each other by names that the gateways of their networks tell.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { askTcp, askUdp } from '../support/dns.ts'
import { BACK, dataOf, FRONT, FRONT6, named, withNames } from '../support/names.ts'
import { BACKENDS } from '../support/scene.ts'

t.setTimeout(600_000)

for (const backend of BACKENDS) {
  t.test(
    `${backend}: who is attached is found when its ADD is done, and no more when its DEL is`,
    async t => {
      const { scene, tsnet, front } = await withNames(t, backend, 'a', 'b')
      const daemon = await tsnet.daemon()
      const [a, b] = [scene.get('a'), scene.get('b')]
      const result = await front.add(a, named('web', 'www', 'shop.example'))
      t.strictSame(result.dns, { nameservers: [FRONT, FRONT6], search: ['tsnet.internal'] })
      await front.add(b, named('db'))
      const [four, six] = result.ips?.map(({ address }) => address.split('/')[0]) ?? []
      for (const server of [FRONT, FRONT6])
        for (const ask of [askUdp, askTcp])
          for (const name of ['web', 'WWW', 'web.tsnet.internal', 'web.front', 'shop.example']) {
            t.strictSame(dataOf(await ask(b, { server, name })), [four], `${ask.name} ${server} ${name}`)
            t.strictSame(dataOf(await ask(b, { server, name, type: 'AAAA' })), [six])
          }
      const reverse = `${four?.split('.').toReversed().join('.')}.in-addr.arpa`
      t.strictSame(dataOf(await askUdp(b, { server: FRONT, name: reverse, type: 'PTR' })), [
        'web.tsnet.internal',
        'shop.example',
        'www.tsnet.internal',
        'a.tsnet.internal',
      ])
      t.strictSame(JSON.parse((await tsnet.run('resolve', 'web', '--json')).stdout), [
        { name: 'web', network: 'front', addresses: [four, six] },
      ])
      await front.delete(a, named('web'))
      t.equal(dataOf(await askUdp(b, { server: FRONT, name: 'web.tsnet.internal' })), 'NXDOMAIN')
      await front.delete(b)
      await daemon.stop()
      t.strictSame(await scene.residue(), [])
    },
  )
}

t.test('who is not on a network is not told its names, and reaches no port', async t => {
  const { scene, tsnet, front, back } = await withNames(t, 'nftables', 'a', 'c', 'd')
  await tsnet.daemon()
  const [a, c, d] = [scene.get('a'), scene.get('c'), scene.get('d')]
  await front.add(a, named('web'))
  await back.add(d, named('db'))
  await front.add(c, named('both'))
  await back.add(c, {
    ...named('both'),
    ifname: 'eth1',
    config: { isDefaultGateway: false, isGateway: true },
  })
  scene.client.route('10.0.0.0/8', '192.168.50.1')
  for (const ask of [askUdp, askTcp]) {
    t.type(await ask(scene.client, { server: FRONT, name: 'web', withinMs: 1_000 }), 'string', 'from outside')
    t.type(await ask(d, { server: FRONT, name: 'web', withinMs: 1_000 }), 'string', 'from another network')
    t.match(await ask(a, { server: FRONT, name: 'web' }), { code: 'NOERROR' }, 'a control')
  }
  t.equal(dataOf(await askUdp(a, { server: FRONT, name: 'db.tsnet.internal' })), 'NXDOMAIN')
  for (const server of [FRONT, BACK])
    for (const name of ['web', 'db'])
      t.match(await askUdp(c, { server, name }), { code: 'NOERROR' }, 'who is on both is told all by both')
})

t.test('the daemon is started by the first who needs it, and killed, it tells all again', async t => {
  const { scene, tsnet, front } = await withNames(t, 'nftables', 'a', 'b')
  const [a, b] = [scene.get('a'), scene.get('b')]
  await front.add(a, { ...named('web'), env: { ...named('web').env, TSNET_DAEMON: '' } })
  t.match(await askUdp(a, { server: FRONT, name: 'web' }), { code: 'NOERROR' })
  const daemons = () => scene.host.processes().filter(each => each.command.includes('tsnet daemon'))
  t.equal(daemons().length, 1)
  for (const { pid } of daemons()) await scene.host.run('kill', '-KILL', `${pid}`)
  await waitFor(() => daemons().length === 0, { what: 'the daemon to be gone' })
  await front.add(b, named('db'))
  t.match(front.said, '', 'nothing is started where it is forbidden')
  await tsnet.daemon()
  for (const name of ['web', 'db'])
    t.match(await askUdp(a, { server: FRONT, name }), { code: 'NOERROR' }, name)
})

t.test('where another has port 53 it is named, keeps nobody from attaching, and makes room', async t => {
  const { scene, tsnet, front } = await withNames(t, 'nftables', 'a')
  const taken = scene.host.start(
    'dnsmasq',
    '-k',
    '-C',
    '/dev/null',
    '--pid-file=',
    '--no-hosts',
    '--no-resolv',
  )
  await waitFor(
    async () => typeof (await askUdp(scene.host, { server: '127.0.0.1', name: 'x' })) !== 'string',
    {
      what: 'dnsmasq',
    },
  )
  const daemon = await tsnet.daemon()
  const a = scene.get('a')
  await front.add(a, named('web'))
  await waitFor(
    () =>
      /names of network front, asked at 10\.10\.0\.1, are not told: .*in use by dnsmasq \(pid \d+\)/.test(
        daemon.stderr,
      ),
    {
      what: 'the log to name it',
    },
  )
  await front.status()
  t.match(front.said, /warning: network front: .*port 53 of 10\.10\.0\.1 is in use by dnsmasq \(pid \d+\)/)
  t.match((await tsnet.run('resolve', 'web')).stderr, /in use by dnsmasq/)
  await taken.stop('SIGKILL')
  await waitFor(
    async () => typeof (await askUdp(a, { server: FRONT, name: 'web', withinMs: 500 })) !== 'string',
    {
      what: 'names to be told',
    },
  )
  await front.status()
  t.equal(front.said, '')
})

t.test('a bridge that was deleted and came back is answered on', async t => {
  const { scene, tsnet, front } = await withNames(t, 'nftables', 'a')
  await tsnet.daemon()
  const a = scene.get('a')
  await front.add(a, named('web'))
  await scene.host.run('ip', 'link', 'delete', 'br-front')
  await waitFor(
    async () => typeof (await askUdp(a, { server: FRONT, name: 'web', withinMs: 500 })) !== 'string',
    {
      what: 'names to be told again',
    },
  )
})
