/**
 * What a runtime asks for beside the configuration (runtimeConfig, args.cni, CNI_ARGS), as the kernel has
 * it in the end.
 *
 *     client eth0 ──── lan0 host ── br-front ── a    8001 of the host → 80
 */

import t from 'tap'
import { kernelLinks } from '../support/kernel-links.ts'
import { addressOf, type CallOptions } from '../support/plugin.ts'
import { ANSWERS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const open = async () => {
  const scene = await Scene.open('nftables', 'a')
  t.teardown(() => scene.close())
  return { scene, a: scene.get('a'), front: scene.network('front', 10) }
}

const runtime = (runtimeConfig: object, more: object = {}): CallOptions => ({
  config: { runtimeConfig, ...more },
})

t.test('capability mac: comes before args.cni, which comes before CNI_ARGS', async t => {
  const { scene, a, front } = await open()
  const mac = (last: number) => `02:00:00:00:00:0${last}`
  const args = { cni: { mac: mac(2) } }
  const env = { CNI_ARGS: `IgnoreUnknown=1;MAC=${mac(3)}` }
  const calls: [CallOptions, string][] = [
    [{ ...runtime({ mac: mac(1).toUpperCase() }, { args }), env }, mac(1)],
    [{ ...runtime({}, { args }), env }, mac(2)],
    [{ env }, mac(3)],
  ]
  for (const [options, expected] of calls) {
    const result = await front.add(a, options)
    t.equal((await kernelLinks(a))[0]?.address, expected)
    t.equal(result.interfaces?.[2]?.mac, expected)
    await front.delete(a, options)
  }
  t.strictSame(await scene.residue(), [])
})

t.test('capability ips, args.cni.ips and CNI_ARGS IP: each gives the address that was asked for', async t => {
  const { scene, a, front } = await open()
  const calls: [CallOptions, string, string?][] = [
    [runtime({ ips: ['10.10.0.77/16', 'fd10::77'] }), '10.10.0.77', 'fd10::77'],
    [runtime({}, { args: { cni: { ips: ['10.10.0.78'] } } }), '10.10.0.78'],
    [{ env: { CNI_ARGS: 'IP=10.10.0.79' } }, '10.10.0.79'],
    [{ ...runtime({ ips: ['fd10::80'] }), env: { CNI_ARGS: 'IP=10.10.0.80' } }, '10.10.0.80', 'fd10::80'],
  ]
  for (const [options, v4, v6] of calls) {
    const result = await front.add(a, options)
    t.equal(addressOf(result, 4), v4)
    if (v6 !== undefined) t.equal(addressOf(result, 6), v6)
    await front.delete(a, options)
  }
  await t.rejects(
    front.add(a, runtime({ ips: ['172.16.0.1'] })),
    { message: /172\.16\.0\.1/ },
    'not of the pool',
  )
  t.strictSame(await scene.residue(), [])
})

t.test('capability ipRanges: comes before the ranges of the configuration', async t => {
  const { scene, a, front } = await open()
  const options = runtime({ ipRanges: [[{ Subnet: '10.33.0.0/24', RangeStart: '10.33.0.50' }]] })
  const result = await front.add(a, options)
  t.match(result.ips, [{ address: '10.33.0.50/24' }, { address: /^10\.10\./ }, { address: /^fd10::/ }])
  await front.delete(a, options)
  t.strictSame(await scene.residue(), [])
})

t.test('capability portMappings: as go-cni spells it, is a port that answers', async t => {
  const { scene, a, front } = await open()
  const mapping = { HostPort: 8001, ContainerPort: ANSWERS, Protocol: 'TCP', HostIP: '' }
  const options = runtime({ portMappings: [mapping, { ...mapping, Protocol: 'udp' }] })
  await front.add(a, options)
  for (const transport of ['tcp', 'udp'] as const) {
    for (const family of [4, 6] as const) {
      t.match(await scene.client.ask(transport, HOST[family], 8001), { place: 'a' })
    }
  }
  await front.delete(a, options)
  t.strictSame(await scene.residue(), [])
})

t.test('capability dns: is in the result, over the settings of the configuration', async t => {
  const { scene, a, front } = await open()
  const dns = { nameservers: ['10.10.0.1'], domain: 'front.test', search: ['a.test'] }
  const options = runtime({ dns: { Servers: ['fd10::1'], Searches: [], Options: ['ndots:2'] } }, { dns })
  t.same((await front.add(a, options)).dns, { ...dns, nameservers: ['fd10::1'], options: ['ndots:2'] })
  await front.delete(a, options)
  t.strictSame(await scene.residue(), [])
})

t.test(
  'capability bandwidth: both directions are limited, and the device that does it is in the result',
  async t => {
    const { scene, a, front } = await open()
    const limits = { IngressRate: 8e6, IngressBurst: 1e6, EgressRate: 16e6, EgressBurst: 1e6 }
    const options = runtime({ bandwidth: limits })
    const result = await front.add(a, options)
    t.equal(result.interfaces?.length, 4)
    const [host, ifb] = [result.interfaces?.[1]?.name ?? '', result.interfaces?.[3]?.name ?? '']
    t.match((await scene.host.run('tc', 'qdisc', 'show', 'dev', host)).stdout, /tbf .*rate 8Mbit/)
    t.match((await scene.host.run('tc', 'qdisc', 'show', 'dev', ifb)).stdout, /tbf .*rate 16Mbit/)
    await front.check(a, result, options)
    await front.delete(a, options)
    t.strictSame(await scene.residue(), [])
  },
)

t.test('capability aliases: are on record, with the name that podman and Kubernetes give', async t => {
  const { scene, a, front } = await open()
  for (const aliases of [['web', 'www'], { front: ['web', 'www'], other: ['db'] }]) {
    const options = { ...runtime({ aliases }), env: { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=pod' } }
    await front.add(a, options)
    const { stdout } = await scene.host.run('sh', '-c', 'grep -rh aliases /run/tsnet')
    t.match(stdout.replaceAll(/\s/g, ''), '"aliases":["web","www","pod"]')
    await front.delete(a, options)
  }
  t.strictSame(await scene.residue(), [])
})
