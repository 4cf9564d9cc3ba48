/**
 * A container's life in every version of the spec: made, checked, told of, taken away, with nothing left.
 *
 *     client eth0 ──── lan0 host ── br-front ── a    8001 of the host → 80
 */

import t from 'tap'
import { type Version, versions } from '../../src/runtime/cni-versions.ts'
import type { Result } from '../support/libcni.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const mac = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/

const veth = { name: /^veth/, mac }
const eth0 = { name: 'eth0', mac, sandbox: '/run/netns/a' }
const interfaces = [{ name: 'br-front', mac }, veth, eth0]
const routes = [
  { dst: '0.0.0.0/0', gw: '10.10.0.1' },
  { dst: '::/0', gw: 'fd10::1' },
]
const ips = [
  { address: /^10\.10\.\d+\.\d+\/16$/, gateway: '10.10.0.1', interface: 2 },
  { address: /^fd10::[0-9a-f]+\/64$/, gateway: 'fd10::1', interface: 2 },
]

/** The result of a version, and the only keys that may be in it. */
function expected(version: Version): { shape: object; keys: string[] } {
  if (version < '0.3.0') {
    const section = (family: 0 | 1) => ({
      ip: ips[family]?.address,
      gateway: ips[family]?.gateway,
      routes: [routes[family]],
    })
    return { shape: { ip4: section(0), ip6: section(1) }, keys: ['cniVersion', 'ip4', 'ip6'] }
  }
  const keys = ['cniVersion', 'interfaces', 'ips', 'routes']
  if (version >= '1.1.0') {
    return { shape: { interfaces: interfaces.map(each => ({ ...each, mtu: 1500 })), ips, routes }, keys }
  }
  const noMtu = interfaces.map(each => ({ ...each, mtu: undefined }))
  const told = ips.map((ip, i) => ({ ...ip, version: version < '1.0.0' ? (i === 0 ? '4' : '6') : undefined }))
  return { shape: { interfaces: noMtu, ips: told, routes }, keys }
}

for (const backend of BACKENDS) {
  t.test(`${backend}: ADD, CHECK, STATUS, GC and DEL in every version leave nothing`, async t => {
    const scene = await Scene.open(backend, 'a')
    t.teardown(() => scene.close())
    const a = scene.get('a')
    const ports = [{ hostPort: 8001, containerPort: ANSWERS }]
    const isDefaultGateway = true
    for (const version of versions) {
      const front = scene.network('front', 10, { cniVersion: version, isDefaultGateway })
      const result = await front.add(a, { ports })
      const { shape, keys } = expected(version)
      t.match(result, { cniVersion: version, ...shape }, version)
      t.same(Object.keys(result).sort(), keys, version)
      for (const family of [4, 6] as const) {
        t.match(
          await scene.client.ask('tcp', HOST[family], 8001),
          { place: 'a' },
          `${version} over IPv${family}`,
        )
      }
      const refused = { code: 1, message: /config version does not allow/ }
      if (version >= '0.4.0') await front.check(a, result, { ports })
      else await t.rejects(front.check(a, result as Result, { ports }), refused, version)
      if (version >= '1.1.0') {
        await front.status()
        await front.collect(['a'])
        await front.check(a, result, { ports })
      } else {
        await t.rejects(front.status(), refused, version)
        await t.rejects(front.collect([]), refused, version)
      }
      await front.delete(a, version >= '0.4.0' ? { ports, prevResult: result } : { ports })
      t.strictSame(await scene.residue(), [], version)
    }
  })
}

t.test('a network of layer 2 in every version', async t => {
  const scene = await Scene.open('nftables', 'a')
  t.teardown(() => scene.close())
  const a = scene.get('a')
  for (const version of versions) {
    const network = { cniVersion: version, ipam: {}, isDefaultGateway: false, ipMasq: false }
    const front = scene.network('front', 10, network)
    if (version < '0.3.0') {
      await t.rejects(front.add(a), { code: 1, message: /cannot convert: no valid IP addresses/ }, version)
    } else {
      const result = await front.add(a)
      t.match(result, { interfaces: [{ name: 'br-front' }, veth, eth0], ips: undefined, routes: undefined })
      await front.delete(a)
    }
  }
  t.strictSame(await scene.residue(), [])
})

t.test('two addresses of a family are for 0.3.0 and later', async t => {
  const scene = await Scene.open('nftables', 'a')
  t.teardown(() => scene.close())
  const ranges = [[{ subnet: '10.10.0.0/16' }], [{ subnet: '10.11.0.0/16' }]]
  for (const version of versions) {
    const front = scene.network('front', 10, { cniVersion: version, ipam: { type: 'host-local', ranges } })
    if (version < '0.3.0') {
      const error = { code: 1, message: /does not support more than 1 address per family/ }
      await t.rejects(front.add(scene.get('a')), error, version)
    } else {
      const { ips } = await front.add(scene.get('a'))
      t.equal(ips?.length, 2, version)
      await front.delete(scene.get('a'))
    }
  }
  t.strictSame(await scene.residue(), [])
})
