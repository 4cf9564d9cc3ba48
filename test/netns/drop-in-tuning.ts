/**
 * The drop-in `tuning` on the real kernel, beside the reference plugin of that name: each finds what the
 * other left.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { changeLink, getLink } from '../../src/netlink/link/link.ts'
import { readSysctl } from '../../src/netns/sysctl.ts'
import { both, Chained } from '../support/chained.ts'
import { EXECUTABLE } from '../support/daemon.ts'
import {
  addNetworkList,
  checkNetworkList,
  deleteNetworkList,
  type Execute,
  readNetworkList,
} from '../support/libcni.ts'
import { Scene } from '../support/scene.ts'

const MAC = '02:00:00:00:00:09'
const all = { mac: MAC, mtu: 1400, promisc: true, allmulti: true }
const FILE = '/run/cni/tuning/web_eth0.json'

const settings = ({ web }: Chained, name = 'eth0') => {
  const { mac, mtu, promiscuous, allmulti, txQueueLength } = getLink(web.nl, { name })
  return { mac, mtu, promiscuous, allmulti, txQueueLength }
}

const sysctl = ({ web }: Chained, name: string) => web.inside(() => readSysctl(name))

for (const giver of both) {
  for (const taker of both) {
    t.test(`what ${giver} tuned, ${taker} gives back`, async t => {
      await using scene = await Chained.open('tuning')
      const before = settings(scene)
      const result = await scene.add(giver, { config: all })
      t.match(settings(scene), { mac: MAC, mtu: 1400, promiscuous: true, allmulti: true })
      t.equal(result.interfaces?.[1]?.mac, MAC)
      t.match(JSON.parse(readFileSync(scene.host.path(FILE), 'utf8')), {
        mac: before.mac,
        promisc: false,
        mtu: 1500,
        allmulti: false,
      })
      for (const who of both) await scene.call(who, 'CHECK', { config: all, prevResult: result })
      await scene.call(taker, 'DEL', { config: all, prevResult: result })
      t.strictSame(settings(scene), before)
      t.notOk(existsSync(scene.host.path(FILE)))
      await scene.call(taker, 'DEL', { config: all, prevResult: null })
    })
  }
}

t.test('the result is that of the plugin before, with the new MAC and MTU of the container', async t => {
  await using scene = await Chained.open('tuning')
  const config = { cniVersion: '1.1.0', mac: MAC, mtu: 1400 }
  t.strictSame(await scene.add('tsnet', { config }), {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'veth0' }, { name: 'eth0', mac: MAC, mtu: 1400, sandbox: scene.web.path }],
    ips: [{ interface: 1, address: '10.1.0.2/24' }],
  })
  const untouched = await scene.add('tsnet', { config: { cniVersion: '0.3.1', sysctl: {} } })
  t.match(untouched, {
    cniVersion: '0.3.1',
    interfaces: [{}, { mac: '02:00:00:00:00:ff' }],
    ips: [{ version: '4' }],
  })
})

t.test('sysctls are set in the container alone, in every spelling, and checked', async t => {
  await using scene = await Chained.open('tuning', 'eth0.100')
  const name = 'net/ipv4/conf/eth0.100/arp_filter'
  const host = () => scene.host.inside(() => readSysctl('net/ipv4/ip_local_port_range'))
  const before = host()
  const config = {
    sysctl: {
      'net.ipv4.conf.IFNAME.arp_filter': '1',
      'net/ipv4/conf/eth0.100/arp_ignore': '1',
      'net.ipv4.conf.eth0/100.arp_announce': '2',
      'net.ipv4.ip_local_port_range': '20000 30000',
      'net.ipv4.route.flush': '1',
    },
  }
  const asked = { ifname: 'eth0.100', config }
  await scene.add('tsnet', asked)
  t.equal(sysctl(scene, name), '1')
  t.equal(sysctl(scene, 'net/ipv4/conf/eth0.100/arp_ignore'), '1')
  t.equal(sysctl(scene, 'net/ipv4/conf/eth0.100/arp_announce'), '2')
  t.equal(sysctl(scene, 'net/ipv4/ip_local_port_range'), '20000\t30000')
  t.equal(host(), before)
  await scene.call('tsnet', 'CHECK', asked)
  await t.rejects(
    scene.call('tsnet', 'CHECK', {
      ...asked,
      config: { sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '0' }, mtu: 9 },
    }),
    { code: 102, message: /arp_filter is "1" instead of "0"; mtu of eth0\.100 is 1500 instead of 9/ },
  )
})

t.test('an error gives back all that was set before it, and leaves no file', async t => {
  await using scene = await Chained.open('tuning')
  const before = settings(scene)
  const forward = sysctl(scene, 'net/ipv4/conf/eth0/forwarding')
  const set = { 'net.ipv4.conf.IFNAME.forwarding': forward === '1' ? '0' : '1' }
  for (const [config, message] of [
    [{ sysctl: { ...set, 'net.ipv4.nope': '1' } }, /net\.ipv4\.nope": the kernel has no such setting/],
    [{ sysctl: { ...set, 'net.ipv4.conf.IFNAME.arp_filter': 'x' } }, /arp_filter" cannot be "x": .*EINVAL/],
    [{ sysctl: set, mac: MAC, promisc: true, mtu: 100_000 }, /mtu of eth0 cannot be 100000/],
    [{ sysctl: { ...set, 'kernel.hostname': 'x' } }, /invalid net sysctl key: "kernel\.hostname"/],
    [{ sysctl: { ...set, 'net/../kernel/hostname': 'x' } }, /invalid net sysctl key/],
  ] as const) {
    await t.rejects(scene.add('tsnet', { config }), { message })
    t.strictSame(settings(scene), before)
    t.equal(sysctl(scene, 'net/ipv4/conf/eth0/forwarding'), forward)
    t.notOk(existsSync(scene.host.path(FILE)))
  }
  await t.rejects(scene.add('tsnet', { prevResult: null }), {
    code: 7,
    message: /Required prevResult missing/,
  })
  await t.rejects(scene.add('tsnet', { ifname: 'eth9', config: all }), { message: /eth9 is not in/ })
})

t.test('the host may allow some sysctls only; STATUS says so before', async t => {
  await using scene = await Chained.open('tuning')
  mkdirSync(scene.host.path('/etc/cni/tuning'))
  writeFileSync(scene.host.path('/etc/cni/tuning/allowlist.conf'), '^net\\.ipv4\\.conf\\.IFNAME\\.[a-z_]*$\n')
  const allowed = { sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' } }
  const refused = { cniVersion: '1.1.0', sysctl: { ...allowed.sysctl, 'net.ipv4.ip_forward': '1' } }
  await scene.add('tsnet', { config: allowed })
  await t.rejects(scene.add('tsnet', { config: refused }), {
    message: /Sysctl net\.ipv4\.ip_forward is not allowed\./,
  })
  await t.rejects(scene.call('tsnet', 'STATUS', { config: refused }), { message: /is not allowed/ })
  await scene.call('tsnet', 'STATUS', { config: { cniVersion: '1.1.0', ...allowed } })
})

t.test('DEL gives nothing to a stranger, needs no namespace, and takes the file along', async t => {
  await using scene = await Chained.open('tuning')
  const tuned = async () => {
    await scene.add('tsnet', { config: all })
    t.ok(existsSync(scene.host.path(FILE)))
  }
  const gone = () => t.notOk(existsSync(scene.host.path(FILE)))
  const before = settings(scene)
  await tuned()
  await scene.call('tsnet', 'DEL', { netns: '', prevResult: null })
  gone()
  t.match(settings(scene), { mac: MAC }, 'without a namespace there is nobody to give it to')
  await tuned()
  const other = await scene.kernel.namespace('other')
  await scene.call('tsnet', 'DEL', { netns: other.path, prevResult: null })
  gone()
  await tuned()
  changeLink(scene.web.nl, getLink(scene.web.nl, { name: 'eth0' }), { up: false })
  changeLink(scene.web.nl, getLink(scene.web.nl, { name: 'eth0' }), { name: 'eth7' })
  await scene.call('tsnet', 'DEL', { prevResult: null })
  gone()
  t.not(settings(scene, 'eth7').mac, before.mac)
})

t.test("the host's own interfaces are never touched", async t => {
  await using scene = await Chained.open('tuning')
  const path = '/proc/self/ns/net'
  const before = getLink(scene.kernel.nl, { name: 'veth0' })
  for (const command of ['ADD', 'CHECK']) {
    const asked = { netns: path, ifname: 'veth0', config: all }
    await t.rejects(scene.call('tsnet', command, asked), { code: 8 })
  }
  // A file of the reference does not say where its interface was.
  await scene.host.run('mkdir', '-p', '/run/cni/tuning')
  writeFileSync(scene.host.path('/run/cni/tuning/web_veth0.json'), JSON.stringify({ mac: MAC }))
  await t.rejects(scene.call('tsnet', 'DEL', { netns: path, ifname: 'veth0' }), { code: 8 })
  t.strictSame(getLink(scene.kernel.nl, { name: 'veth0' }), before)
})

t.test('GC removes what is written down of containers that are no more', async t => {
  await using scene = await Chained.open('tuning')
  const config = { cniVersion: '1.1.0', ...all }
  const files = () =>
    readdirSync(scene.host.path('/run')).includes('cni') && existsSync(scene.host.path(FILE))
  const collect = (more: object) =>
    scene.call('tsnet', 'GC', { config: { ...config, ...more }, prevResult: null })
  await scene.add('tsnet', { config })
  await collect({})
  t.ok(files(), 'a namespace that lives keeps its file')
  await collect({ 'cni.dev/valid-attachments': [{ containerID: 'web', ifname: 'eth0' }] })
  t.ok(files())
  await collect({ name: 'other', 'cni.dev/valid-attachments': [] })
  t.ok(files(), 'another network is none of its business')
  await collect({ 'cni.dev/valid-attachments': [] })
  t.notOk(files())
})

t.test(
  'CHECK of the plugin before is content with what was tuned behind it, and with nothing else',
  async t => {
    const scene = await Scene.open('iptables', 'web')
    t.teardown(() => scene.close())
    const web = scene.get('web')
    const run: Execute = (type, env, stdin) => {
      const program = type === 'tsnet' ? EXECUTABLE : resolve('dist/drop-in', type)
      return scene.host.run(program, { env, stdin, mayFail: true })
    }
    for (const [cniVersion, mtu] of [
      ['1.1.0', 1400],
      ['1.0.0', 1300],
    ] as const) {
      const list = { ...readNetworkList('ipv4'), cniVersion }
      list.plugins.push({ type: 'tuning', mac: MAC, mtu })
      const call = { containerId: 'web', netns: web.path, ifname: 'eth0' }
      const result = await addNetworkList(list, call, run)
      await checkNetworkList(list, call, result, run)
      await web.run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:77')
      await t.rejects(checkNetworkList(list, call, result, run), { message: /02:00:00:00:00:77 instead of/ })
      await deleteNetworkList(list, call, result, run)
    }
  },
)
