/**
 * The drop-in `bandwidth` on the real kernel, beside the reference plugin of that name: each finds what the
 * other left, and what is limited is measured.
 */

import t from 'tap'
import { deleteLink, getLink, listLinks } from '../../src/netlink/link/link.ts'
import { both, Chained, type Who } from '../support/chained.ts'

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

const OTHER_BUCKET = ['handle', '1:', 'tbf', 'rate', '1mbit', 'burst', '9999', 'limit', '99999']

const bursts: [what: string, limits: Record<string, number>, compared: boolean][] = [
  ['one frame', { ingressRate: 8_000_000, ingressBurst: 12_112 }, true],
  ['no whole microsecond', { ingressRate: 8_000_000_000, ingressBurst: 2_147_483_647 }, true],
  ['and no whole byte', { egressRate: 12_345_678, egressBurst: 1_234_567 }, true],
  // The reference lets no full frame pass then, which CHECK finds right where it was the one that made it.
  ['less than a frame', { ingressRate: 8_000_000, ingressBurst: 8000 }, false],
  ['less than a frame, both ways', { ...limits, ingressBurst: 1000, egressBurst: 800 }, false],
]

for (const [what, config, compared] of bursts) {
  t.test(`a burst of ${what}: CHECK of either finds right what the other set`, async t => {
    for (const giver of ['tsnet', 'reference'] as const) {
      await using scene = await Chained.open('bandwidth')
      const prevResult = await scene.add(giver, { config })
      const check = (who: Who) => scene.call(who, 'CHECK', { config, prevResult })
      await check('tsnet')
      await check(giver)
      if (compared) await check('reference')
      const limited = 'egressRate' in config ? (prevResult.interfaces?.at(-1)?.name ?? '') : 'veth0'
      await scene.host.run('tc', 'qdisc', 'change', 'dev', limited, 'root', ...OTHER_BUCKET)
      await t.rejects(check('tsnet'), /instead of|has no token bucket/, 'control')
    }
  })
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

/** What `tc` shows at a link for what it receives. */
const hookOf = async ({ host }: Chained, link: string) => {
  const { stdout } = await host.run(
    'sh',
    '-c',
    `tc qdisc show dev ${link}; tc filter show dev ${link} ingress`,
  )
  return stdout
}

for (const hook of ['ingress', 'clsact']) {
  t.test(
    `a hook that somebody has opened (${hook}) is used, and our filter alone comes and goes`,
    async t => {
      await using scene = await Chained.open('bandwidth')
      const { host, web } = scene
      await host.run('tc', 'qdisc', 'add', 'dev', 'veth0', hook)
      const parent = hook === 'ingress' ? 'parent ffff:' : 'ingress'
      const theirs = `protocol ip prio 7 u32 match ip dst 10.1.0.9/32 flowid :1`
      await host.run('sh', '-c', `tc filter add dev veth0 ${parent} ${theirs}`)
      const before = await hookOf(scene, 'veth0')
      const result = await scene.add('tsnet', { config: limits })
      await scene.call('tsnet', 'CHECK', { config: limits, prevResult: result })
      const [ifb = ''] = ifbs(scene)
      const during = await hookOf(scene, 'veth0')
      t.match(during, new RegExp(`pref 8 .*\\n.*\\n.*mirred \\(Egress Redirect to device ${ifb}\\)`))
      t.match(during, /pref 7 /)
      web.serveHttp(80, 'hello')
      t.match(await host.fetch('http://10.1.0.2/'), { body: 'hello' }, 'what passes both arrives')
      const { stdout } = await host.run('tc', '-s', 'qdisc', 'show', 'dev', ifb, 'root')
      t.match(stdout, /Sent [1-9]/, 'and was limited')

      const gc = { ...limits, cniVersion: '1.1.0' }
      const valid = { 'cni.dev/valid-attachments': [{ containerID: 'web', ifname: 'eth0' }] }
      await scene.call('tsnet', 'GC', { config: { ...gc, ...valid }, prevResult: null })
      t.equal(ifbs(scene).length, 1, 'who lives keeps it')
      await scene.call('tsnet', 'DEL', { config: limits, netns: '', prevResult: null })
      t.strictSame(ifbs(scene), [])
      await host.run('tc', 'qdisc', 'delete', 'dev', 'veth0', 'root')
      t.equal(await hookOf(scene, 'veth0'), before, 'theirs is as it was')
    },
  )
}

t.test('an ADD that fails on its way has taken everything back, and can be tried again', async t => {
  await using scene = await Chained.open('bandwidth')
  const { host } = scene
  await host.run('tc', 'qdisc', 'add', 'dev', 'veth0', 'clsact')
  // No priority is behind this one, and filters of one priority are for one protocol.
  const last = 'ingress protocol ip prio 65535'
  await host.run('sh', '-c', `tc filter add dev veth0 ${last} u32 match u32 0 0 flowid :1`)
  const before = await hookOf(scene, 'veth0')
  for (const attempt of ['first', 'second']) {
    await t.rejects(
      scene.add('tsnet', { config: limits }),
      { code: 101, message: /veth0 has a filter of the last priority/ },
      attempt,
    )
    t.strictSame(ifbs(scene), [], attempt)
    t.equal(await hookOf(scene, 'veth0'), before, attempt)
  }
  await host.run('sh', '-c', `tc filter delete dev veth0 ${last}`)
  await scene.add('tsnet', { config: limits })
})

t.test('what has the place of a limit is named', async t => {
  await using scene = await Chained.open('bandwidth')
  const { host } = scene
  await host.run('tc', 'qdisc', 'add', 'dev', 'veth0', 'root', 'pfifo')
  await t.rejects(scene.add('tsnet', { config: limits }), { message: /veth0 has pfifo as its root qdisc/ })
  await host.run('tc', 'qdisc', 'delete', 'dev', 'veth0', 'root')
  await scene.add('tsnet', { config: { ...limits, egressRate: 0, egressBurst: 0 } })
  await t.rejects(scene.add('tsnet', { config: limits }), {
    message: /veth0 is limited already, to 8000000 bit/,
  })
  t.strictSame(ifbs(scene), [])
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
