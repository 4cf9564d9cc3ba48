/**
 * The drop-in `bandwidth` on the real kernel, beside the reference plugin of that name: each finds what the
 * other left, and what is limited is measured.
 */

import t from 'tap'
import { deleteLink, getLink, listLinks } from '../../src/netlink/link.ts'
import { both, Chained } from '../support/chained.ts'

/** An ifb as the reference might have made it for somebody. */
const FOREIGN = 'bwp0123456789ab'
const limits = { ingressRate: 8_000_000, ingressBurst: 256_000, egressRate: 16_000_000, egressBurst: 512_000 }

const ifbs = ({ kernel }: Chained) => listLinks(kernel.nl, { kind: 'ifb' }).map(({ name }) => name)

for (const giver of both) {
  for (const taker of both) {
    t.test(`what ${giver} limited, both find right, and ${taker} takes away`, async t => {
      await using scene = await Chained.open('bandwidth')
      const result = await scene.add(giver, { config: limits })
      const [ifb = ''] = ifbs(scene)
      t.match(ifb, /^bwp[0-9a-f]{12}$/)
      t.strictSame(result.interfaces?.at(-1), { name: ifb, mac: getLink(scene.kernel.nl, { name: ifb }).mac })
      t.equal(result.interfaces?.length, 3)
      for (const who of both) await scene.call(who, 'CHECK', { config: limits, prevResult: result })
      await scene.call(taker, 'DEL', {
        config: limits,
        prevResult: null,
        netns: taker === 'tsnet' ? '' : scene.web.path,
      })
      t.strictSame(ifbs(scene), [])
      await scene.call(taker, 'DEL', { config: limits, prevResult: null })
    })
  }
}

t.test(
  'the runtime gives the limits where the configuration has none, and without any all is passed on',
  async t => {
    await using scene = await Chained.open('bandwidth')
    const runtimeConfig = { bandwidth: { IngressRate: 8_000_000, IngressBurst: 80_000 } }
    const passed = await scene.add('tsnet', { config: { ingressRate: 0, runtimeConfig } })
    t.strictSame(passed.interfaces, scene.before.interfaces)
    const result = await scene.add('tsnet', { config: { runtimeConfig } })
    t.equal(result.interfaces?.length, 2, 'only what the container sends takes an ifb')
    const [qdisc] = await scene.kernel.json('tc', '-j', 'qdisc', 'show', 'dev', 'veth0', 'root')
    t.match(qdisc, { kind: 'tbf', options: { rate: 1_000_000 } })
  },
)

t.test('what cannot be limited is refused, and nothing is left of it', async t => {
  await using scene = await Chained.open('bandwidth')
  const interfaces = [{ name: 'eth0', sandbox: scene.web.path }]
  for (const [asked, message] of [
    [{ prevResult: null }, /must be called as chained plugin/],
    [{ prevResult: { cniVersion: '1.0.0', interfaces } }, /does not list veth0/],
    [{ ifname: 'lo' }, /reserved/],
    [{ ifname: 'eth9' }, /eth9 is not in/],
    [{ netns: '/proc/self/ns/net', ifname: 'veth0' }, /is the one that tsnet runs in/],
    [{ config: { ingressRate: 8 } }, /ingressRate: 8 is of no use without ingressBurst/],
    [{ config: { egressBurst: 8 } }, /egressBurst: 8 is of no use without egressRate/],
    [{ config: { egressRate: 8, egressBurst: 0xffff_ffff * 8 } }, /egressBurst/],
    [{ config: { ...limits, cniVersion: '0.2.0' } }, /incompatible CNI versions/],
  ] as const) {
    await t.rejects(scene.add('tsnet', { config: limits, ...asked }), { message })
  }
  t.strictSame(ifbs(scene), [])
  await scene.add('tsnet', { config: limits })
  await t.rejects(scene.add('tsnet', { config: limits }), { code: 101, message: /serves another interface/ })
  t.equal(ifbs(scene).length, 1)
})

t.test('an ifb that nobody uses gives way', async t => {
  await using scene = await Chained.open('bandwidth')
  const result = await scene.add('tsnet', { config: limits })
  await scene.host.run('tc', 'qdisc', 'delete', 'dev', 'veth0', 'ingress')
  await scene.host.run('tc', 'qdisc', 'delete', 'dev', 'veth0', 'root')
  await t.rejects(scene.call('tsnet', 'CHECK', { config: limits, prevResult: result }), {
    code: 102,
    message: /veth0 has no token bucket.*not redirected/,
  })
  const again = await scene.add('tsnet', { config: limits })
  t.equal(ifbs(scene).length, 1)
  await scene.call('tsnet', 'CHECK', { config: limits, prevResult: again })
})

t.test('GC removes the ifbs of containers that are no more', async t => {
  await using scene = await Chained.open('bandwidth')
  const config = { ...limits, cniVersion: '1.1.0' }
  const collect = (more: object) =>
    scene.call('tsnet', 'GC', { config: { ...config, ...more }, prevResult: null })
  await scene.add('tsnet', { config })
  await scene.host.run('ip', 'link', 'add', FOREIGN, 'type', 'ifb')
  await collect({})
  await collect({ 'cni.dev/valid-attachments': [{ containerID: 'web', ifname: 'eth0' }] })
  await collect({ name: 'other', 'cni.dev/valid-attachments': [] })
  t.equal(ifbs(scene).length, 2)
  deleteLink(scene.kernel.nl, getLink(scene.kernel.nl, { name: 'veth0' }))
  await collect({})
  t.strictSame(ifbs(scene), [FOREIGN], "what is somebody else's stays")
})

t.test('both directions keep to their rates', async t => {
  await using scene = await Chained.open('bandwidth')
  const unlimited = await megabits(scene, 'to')
  await scene.add('tsnet', { config: limits })
  const to = await megabits(scene, 'to')
  const from = await megabits(scene, 'from')
  t.ok(unlimited > 100, `without limits ${unlimited} Mbit/s`)
  t.ok(to > 6 && to < 8.8, `towards the container ${to} of 8 Mbit/s`)
  t.ok(from > 12 && from < 17.6, `from the container ${from} of 16 Mbit/s`)
  await scene.call('tsnet', 'DEL', { config: limits })
})

/** What iperf3 gets through in two seconds, as the receiver counts it. */
async function megabits({ host, web }: Chained, way: 'to' | 'from'): Promise<number> {
  const server = web.start('iperf3', '--server', '--one-off')
  try {
    for (let attempt = 0; attempt < 100; attempt++) {
      const words = ['--client', '10.1.0.2', '--json', '--time', '2', '--omit', '1']
      const done = await host.run('iperf3', ...words, ...(way === 'from' ? ['--reverse'] : []), {
        mayFail: true,
      })
      const report = JSON.parse(done.stdout) as { end: { sum_received?: { bits_per_second: number } } }
      const rate = report.end.sum_received?.bits_per_second
      if (rate !== undefined) return Math.round(rate / 1e4) / 100
    }
    throw new Error('iperf3 was never served')
  } finally {
    await server.stop('SIGKILL')
  }
}
