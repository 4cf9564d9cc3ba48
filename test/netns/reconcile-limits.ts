/**
 * How fast a container may receive and send stays so, whoever takes it away.
 *
 *     host ── veth (tbf) ── a, and veth (hook) ──▶ bwp… (tbf), a's ifb
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const RATE = 100_000_000
const bandwidth = { ingressRate: RATE, ingressBurst: RATE, egressRate: RATE, egressBurst: RATE }
const options = { config: { runtimeConfig: { bandwidth } } }

const TAKERS: Record<string, (veth: string, ifb: string) => string> = {
  'what limits the port': veth => `tc qdisc delete dev ${veth} root`,
  'the hook': veth => `tc qdisc delete dev ${veth} ingress`,
  'the filter at the hook': veth => `tc filter delete dev ${veth} ingress`,
  'what limits the ifb': (_, ifb) => `tc qdisc delete dev ${ifb} root`,
  'another limit of the port': veth =>
    `tc qdisc replace dev ${veth} root tbf rate 1gbit burst 1mb latency 25ms`,
  'the ifb down': (_, ifb) => `ip link set ${ifb} down`,
  'the ifb deleted': (_, ifb) => `ip link delete ${ifb}`,
}

t.test('limits come back with the daemon and by hand, and the link stays up meanwhile', async t => {
  const scene = await Scene.open('nftables', 'a')
  t.teardown(() => scene.close())
  const { host } = scene
  const a = scene.get('a')
  const tsnet = new Command(host, 'nftables')
  const front = scene.network('front', 10)
  const result = await front.add(a, options)
  const [bridge, veth = '', ifb = ''] = result.interfaces
    ?.filter(({ sandbox }) => !sandbox)
    .map(({ name }) => name) ?? ['']
  t.match([bridge, veth, ifb], ['br-front', /^veth/, /^bwp/])
  const isWhole = () =>
    front.check(a, result, options).then(
      () => true,
      () => false,
    )
  for (const [what, taken] of Object.entries(TAKERS)) {
    await host.run('sh', '-c', taken(veth, ifb))
    t.equal(await isWhole(), false, `${what}: CHECK says so`)
    const { stdout } = await tsnet.run('reconcile', '--json')
    t.match(JSON.parse(stdout), [{ outcome: 'restored', subject: 'limits' }], `${what}: it is put back`)
    t.equal(await isWhole(), true, what)
  }
  const daemon = await tsnet.daemon()
  for (const [what, taken] of Object.entries(TAKERS)) {
    const index = (await host.run('ip', '-j', 'link', 'show', veth)).stdout
    await host.run('sh', '-c', taken(veth, ifb))
    await t.resolves(waitFor(isWhole, { what: `${what} to come back`, withinMs: 10_000 }))
    t.equal((await host.run('ip', '-j', 'link', 'show', veth)).stdout, index, 'the link is as it was')
  }
  t.match(daemon.stderr, /put back limits: /)
  await front.delete(a, options)
  t.equal((await daemon.stop('SIGTERM')).code, 0)
  t.strictSame(await scene.residue(), [])
})
