/**
 * What CNI 1.1.0 asks of ADD and only a kernel can tell; test/cni/spec.ts asks the rest. The
 * section in a name is that of the spec's text.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { kernelLinks, linkNames } from '../support/kernel-links.ts'
import {
  addNetworkList,
  type Call,
  checkNetworkList,
  deleteNetworkList,
  type NetworkList,
} from '../support/libcni.ts'
import { addressOf } from '../support/plugin.ts'
import { installPlugins, pluginsOf } from '../support/plugins.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const open = async (...containers: string[]) => {
  const scene = await Scene.open('nftables', ...containers)
  t.teardown(() => scene.close())
  return { scene, front: scene.network('front', 10) }
}

t.test('section 2, ADD: creates the interface CNI_IFNAME in CNI_NETNS, and no other there', async t => {
  const { scene, front } = await open('a', 'b')
  await front.add(scene.get('a'), { ifname: 'net-1' })
  t.same(await linkNames(scene.get('a')), ['net-1'])
  t.same(await linkNames(scene.get('b')), [])
  await front.add(scene.get('a'), { ifname: 'net-2' })
  t.same(await linkNames(scene.get('a')), ['net-1', 'net-2'])
})

t.test('section 2, ADD: an interface of that name in the namespace is an error, and stays', async t => {
  const { scene, front } = await open('a')
  scene.world.wire([scene.client, 'spare'], [scene.get('a'), 'eth0', '10.99.0.1/24'])
  // The kernel gives both ends their link-local address, and the route to it, when they have been up for a moment.
  for (const [place, name] of [
    [scene.client, 'spare'],
    [scene.get('a'), 'eth0'],
  ] as const) {
    const own = async () => /^fe80/m.test((await place.run('ip', '-6', 'route', 'show', 'dev', name)).stdout)
    await waitFor(own, { what: `the link-local route of ${name}` })
  }
  await scene.remember()
  await t.rejects(front.add(scene.get('a')), { message: /interface eth0 exists already/ })
  t.strictSame(await scene.residue(), [])
})

t.test(
  'section 2, ADD: the result tells the interfaces, addresses and routes that the kernel has',
  async t => {
    const { scene, front } = await open('a')
    const result = await front.add(scene.get('a'))
    const a = scene.get('a')
    const links = [...(await kernelLinks(scene.host)), ...(await kernelLinks(scene.get('a')))]
    for (const { name, mac, mtu } of result.interfaces ?? []) {
      t.match(
        links.find(link => link.ifname === name),
        { address: mac, mtu },
        name,
      )
    }
    t.same(
      result.interfaces?.map(each => each.sandbox),
      [undefined, undefined, '/run/netns/a'],
    )
    const { stdout: addresses } = await a.run('ip', '-o', 'address', 'show', 'dev', 'eth0')
    for (const { address } of result.ips ?? []) t.match(addresses, ` ${address} `)
    const routes = `${(await a.run('ip', 'route')).stdout}${(await a.run('ip', '-6', 'route')).stdout}`
    for (const { gw } of result.routes ?? []) t.match(routes, `default via ${gw} dev eth0`)
  },
)

t.test(
  'section 2, ADD: other plugins of a list come before and after, and all undo what they did',
  async t => {
    const { scene } = await open('a')
    await installPlugins(scene.host)
    await scene.remember()
    const list: NetworkList = {
      cniVersion: '1.0.0',
      name: 'front',
      plugins: [
        { type: 'loopback' },
        { type: 'tsnet', bridge: 'br-front', ipam: { type: 'host-local', subnet: '10.10.0.0/16' } },
        { type: 'tuning', sysctl: { 'net.ipv4.conf.eth0.arp_filter': '1' } },
      ],
    }
    const call: Call = { containerId: 'a', netns: '/run/netns/a', ifname: 'eth0' }
    const result = await addNetworkList(list, call, pluginsOf(scene.host))
    t.same(
      result.interfaces?.map(each => each.name),
      ['lo', 'br-front', result.interfaces?.[2]?.name, 'eth0'],
    )
    t.same(
      result.ips?.map(ip => [ip.address, result.interfaces?.[ip.interface ?? -1]?.name]),
      [
        ['127.0.0.1/8', 'lo'],
        ['::1/128', 'lo'],
        ['10.10.0.2/16', 'eth0'],
      ].filter(([address]) => result.ips?.some(ip => ip.address === address)),
    )
    t.equal(result.ips?.at(-1)?.address, '10.10.0.2/16')
    await checkNetworkList({ ...list, plugins: list.plugins.slice(1) }, call, result, pluginsOf(scene.host))
    await deleteNetworkList(list, call, result, pluginsOf(scene.host))
    // loopback's DEL has put it down.
    await scene.get('a').run('ip', 'link', 'set', 'lo', 'up')
    t.strictSame(await scene.residue(), [])
  },
)

t.test('section 2, ADD: may run for many containers at once', async t => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const { scene, front } = await open(...names)
  const results = await Promise.all(names.map(name => front.add(scene.get(name))))
  t.equal(new Set(results.map(result => addressOf(result, 4))).size, names.length)
  await Promise.all(names.map(name => front.delete(scene.get(name))))
  t.strictSame(await scene.residue(), [])
})

t.test('section 2, ADD and DEL: our own namespace is error 8, and nothing is changed', async t => {
  const { scene, front } = await open('a')
  const own = { netns: '/proc/self/ns/net', ifname: 'lan0' }
  await t.rejects(front.add('a', own), { code: 8 })
  await t.rejects(front.delete('a', own), { code: 8 })
  t.strictSame(await scene.differences(), [])
})

t.test('section 2, ADD: CNI_NETNS that is not there, or no network namespace, is error 8', async t => {
  const { scene, front } = await open('a')
  for (const netns of ['/run/netns/gone', '/etc/passwd', '/etc', '/proc/self/ns/mnt', '/run/netns/a/b']) {
    await t.rejects(front.add('a', { netns }), { code: 8, message: new RegExp(netns) }, netns)
  }
  t.strictSame(await scene.differences(), [])
})
