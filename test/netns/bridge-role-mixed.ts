/**
 * Debian's bridge plugin and dist/drop-in/bridge on one host: what either made the other checks and takes
 * away, also where less is known than at ADD; and what only ours does, GC and STATUS.
 */

import t, { type Test } from 'tap'
import type { Namespace } from 'tsnet/lab'
import { openStages, type Stage } from '../support/bridge-role.ts'
import { type DropInAnswer, environmentOf, folders, type Whose } from '../support/drop-in.ts'
import { isReferenceNew } from '../support/newest-reference.ts'

t.setTimeout(600_000)

const hostLocal = (...subnets: string[]) => ({
  type: 'host-local',
  ranges: subnets.map(subnet => [{ subnet }]),
})
const config = {
  bridge: 'br7',
  isGateway: true,
  ipMasq: true,
  macspoofchk: true,
  ipam: { ...hostLocal('10.1.2.0/24', '2001:db8:42::/64'), routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] },
}

const other = (whose: Whose): Whose => (whose === 'tsnet' ? 'reference' : 'tsnet')
const both = ['reference', 'tsnet'] as const

/** A host whose bridge is there, and what was there before the container came. */
async function open(t: Test): Promise<{ stage: Stage; web: Namespace; before: string[] }> {
  const { ours: stage } = await openStages(t)
  const web = await stage.container('web')
  // Neither of them ever takes the bridge, the tables' chains or the files of the pool away.
  const first = await stage.container('first')
  await stage.call('ADD', first, config)
  await stage.call('DEL', first, config)
  return { stage, web, before: await residue(stage) }
}

/** All that an attachment leaves: links, rules, leases, our record. */
async function residue(stage: Stage): Promise<string[]> {
  return [
    ...(await stage.links()),
    ...(await stage.rules()),
    ...(await stage.lines(
      'sh',
      '-c',
      'find /run/tsnet /var/lib/cni/networks -type f 2>/dev/null | grep -v last_reserved | sort',
    )),
  ]
}

const previousOf = ({ result }: DropInAnswer) => ({ top: { prevResult: result } })

for (const maker of both) {
  t.test(`ADD by ${maker}: CHECK and DEL by the other, any number of times`, async t => {
    const { stage, web, before } = await open(t)
    const added = await stage.call('ADD', web, config, {}, maker)
    t.equal(added.code, 0)
    t.same(await stage.call('CHECK', web, config, previousOf(added), other(maker)), { code: 0 })
    t.same(await stage.call('DEL', web, config, previousOf(added), other(maker)), { code: 0 })
    t.equal((await web.run('ip', 'link', 'show', 'eth0', { mayFail: true })).code, 1)
    const ofOurs = /^\/run\/tsnet|\.tsnet/
    t.same(
      (await residue(stage)).filter(line => !ofOurs.test(line)),
      before,
    )
    t.same(await stage.call('DEL', web, config, previousOf(added), 'tsnet'), { code: 0 })
    t.same(await residue(stage), before, 'a DEL of ours clears what we remembered')
  })
}

t.test('by turns in one namespace, each finds the way clear', async t => {
  const { stage, web, before } = await open(t)
  for (const [maker, ender] of [
    ['reference', 'tsnet'],
    ['tsnet', 'reference'],
    ['reference', 'reference'],
    ['tsnet', 'tsnet'],
    ['tsnet', 'reference'],
    ['reference', 'tsnet'],
  ] as const) {
    const added = await stage.call('ADD', web, config, {}, maker)
    t.equal(added.code, 0, `${maker}: ${added.error}`)
    t.same(await stage.call('DEL', web, config, previousOf(added), ender), { code: 0 })
  }
  t.same(await residue(stage), before)
})

for (const maker of both) {
  t.test(`ADD by ${maker}: DEL of ours when the namespace is gone, named or not`, async t => {
    const { stage, before } = await open(t)
    for (const named of [true, false]) {
      const web = await stage.container(`web${Number(named)}`)
      t.equal((await stage.call('ADD', web, config, {}, maker)).code, 0)
      await web.remove()
      await stage.host.run('sh', '-c', 'while bridge link | grep -q veth; do sleep 0.05; done')
      t.same(await stage.call('DEL', web.name, config, named ? { netns: web.path } : {}), { code: 0 })
      t.same(await residue(stage), before)
    }
  })

  t.test(`ADD by ${maker}: DEL of ours without the namespace, which lives on`, async t => {
    const { stage, web, before } = await open(t)
    const added = await stage.call('ADD', web, config, {}, maker)
    t.same(await stage.call('DEL', 'web', config, previousOf(added)), { code: 0 })
    t.same(await residue(stage), before)
  })
}

t.test('the control, the reference, leaves rules behind when the namespace is gone', async t => {
  const { stage, web, before } = await open(t)
  await stage.call('ADD', web, config, {}, 'reference')
  await web.remove()
  t.same(await stage.call('DEL', 'web', config, {}, 'reference'), { code: 0 })
  const left = (await residue(stage)).filter(line => !before.includes(line))
  t.ok(left.some(line => /POSTROUTING -s 10\.1\.2\.\d+\/32 .*CNI-/.test(line)))
  t.ok(left.some(line => /cni-br-iface-web-eth0/.test(line)))
  t.same(await stage.call('DEL', 'web', config), { code: 0 }, 'ours finds it all the same')
  t.same(await residue(stage), before)
})

t.test('DEL of ours with a configuration that makes no sense any more', async t => {
  const { stage, web, before } = await open(t)
  const added = await stage.call('ADD', web, config)
  const top = { ...previousOf(added).top, ipam: { type: 'host-local', subnet: 'none' }, vlan: 5000 }
  t.same(await stage.call('DEL', web, config, { top }), { code: 0 })
  t.same(await residue(stage), before)
})

t.test(
  'two interfaces of a container on one network: DEL of one leaves the other its masquerade',
  async t => {
    const { stage, web, before } = await open(t)
    const jumps = async () => (await stage.rules()).filter(line => /^-A POSTROUTING/.test(line)).length
    for (const maker of both) {
      await stage.call('ADD', web, config, { ifname: 'eth0' }, maker)
      t.equal((await stage.call('ADD', web, config, { ifname: 'eth1' })).code, 0)
      t.equal(await jumps(), 4)
      t.same(await stage.call('DEL', web, config, { ifname: 'eth0' }), { code: 0 })
      t.equal(await jumps(), 2)
      t.ok((await stage.rules()).some(line => line.includes('-j MASQUERADE')))
      t.same(await stage.call('DEL', web, config, { ifname: 'eth1' }), { code: 0 })
      t.same(await residue(stage), before)
    }
  },
)

t.test('GC takes away what no valid attachment has, whoever made it', async t => {
  const { stage } = await open(t)
  for (const [name, maker] of [
    ['a', 'reference'],
    ['b', 'tsnet'],
    ['c', 'reference'],
    ['d', 'tsnet'],
  ] as const) {
    t.equal((await stage.call('ADD', await stage.container(name), config, {}, maker)).code, 0)
  }
  const valid = ['c', 'd'].map(containerID => ({ containerID, ifname: 'eth0' }))
  const top = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid }
  t.same(await stage.call('GC', '', config, { top }), { code: 0 })
  const chains = (await stage.rules()).filter(line => /^-A POSTROUTING/.test(line))
  t.same(chains.map(line => /id: \\"(\w)\\"/.exec(line)?.[1]).sort(), ['c', 'c', 'd', 'd'])
  const guards = (await stage.rules()).filter(line => /^\tchain cni-br-iface-\w-eth0 {/.test(line))
  t.same(guards.map(line => /iface-(\w)/.exec(line)?.[1]).sort(), ['c', 'd'])
  const leases = (await stage.lines('sh', '-c', 'cat /var/lib/cni/networks/net/10.*')).filter(
    line => line !== 'eth0',
  )
  t.equal(leases.length, 2)
  for (const containerId of ['c', 'd']) t.same(await stage.call('DEL', containerId, config), { code: 0 })
})

t.test('STATUS tells a full pool and a bridge that is none', async t => {
  const { stage, web } = await open(t)
  const top = { cniVersion: '1.1.0' }
  t.same(await stage.call('STATUS', '', config, { top }), { code: 0 })
  const small = { ...config, name: 'small', ipam: hostLocal('10.1.9.0/30') }
  await stage.call('ADD', web, { ...small, bridge: 'br9' }, { top })
  t.match(await stage.call('STATUS', '', small, { top }), { code: 1, error: /^no IP addresses available/ })
  await stage.host.run('ip', 'link', 'add', 'odd', 'type', 'veth', 'peer', 'name', 'odd2')
  t.match(await stage.call('STATUS', '', { ...config, bridge: 'odd' }, { top }), {
    code: 1,
    error: /odd exists and is not a bridge/,
  })
})

t.test('CHECK: a prevResult that is missing, foreign or points nowhere is refused', async t => {
  const { stage, web } = await open(t)
  const added = await stage.call('ADD', web, config)
  const result = added.result as {
    interfaces: { name: string; mac: string; sandbox?: string }[]
    ips: { address: string; interface: number }[]
  }
  const [bridge, host, eth0] = result.interfaces
  const check = async (prevResult: object | undefined) =>
    (await stage.call('CHECK', web, config, { top: { prevResult } })).error
  t.equal(await check(undefined), 'Required prevResult missing')
  t.match(await check({ cniVersion: '1.0.0' }), /^Sandbox in prevResult {2}doesn't match configured netns/)
  t.match(
    await check({ ...result, interfaces: [bridge, host, { ...eth0, sandbox: '/run/netns/x' }] }),
    /^Sandbox in prevResult \/run\/netns\/x/,
  )
  t.match(
    await check({ ...result, interfaces: [{ ...bridge, mac: '02:00:00:00:00:09' }, host, eth0] }),
    /^Bridge interface br7 Mac doesn't match/,
  )
  t.match(
    await check({ ...result, interfaces: [bridge, { ...host, name: 'vethother' }, eth0] }),
    /CNI veth created for bridge br7 was not found/,
  )
  t.match(
    await check({ ...result, ips: [{ ...result.ips[0], address: '10.1.2.99/24' }] }),
    /eth0 lacks address 10\.1\.2\.99\/24/,
  )
  t.match(
    await check({ ...result, ips: [{ ...result.ips[0], interface: 7 }] }),
    /^prevResult\.ips\[0\]\.interface: 7 is no index/,
  )
  t.equal(await check(result), undefined)
  await web.run('ip', 'route', 'delete', 'default')
  t.match(await check(result), /the container lacks route 0\.0\.0\.0\/0/)
  await stage.host.run('iptables', '-t', 'nat', '-F', 'POSTROUTING')
  t.match(await check(result), /table nat lacks -A POSTROUTING -s 10\.1\.2\.\d+\/32/)
})

t.test(
  'an ipam plugin of others is run, with what it needs, and told to take back when ADD fails',
  async t => {
    const { stage, web, before } = await open(t)
    const byExec = {
      ...config,
      ipam: {
        type: 'static',
        addresses: [{ address: '10.1.2.77/24', gateway: '10.1.2.1' }],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    }
    const env = { CNI_PATH: '/usr/lib/cni' }
    for (const maker of both) {
      const added = await stage.call('ADD', web, byExec, { env }, maker)
      t.equal(added.code, 0)
      t.match(added.result, { ips: [{ address: '10.1.2.77/24', gateway: '10.1.2.1', interface: 2 }] })
      t.same(await stage.call('DEL', web, byExec, { env, ...previousOf(added) }, other(maker)), { code: 0 })
    }
    t.same(await stage.call('DEL', web, byExec, { env }), { code: 0 })
    t.same(await residue(stage), before)
  },
)

t.test('their bridge with our host-local, found in CNI_PATH', async t => {
  const { stage, web, before } = await open(t)
  const ours = { env: { CNI_PATH: folders.tsnet } }
  const added = await stage.call('ADD', web, config, ours, 'reference')
  t.equal(added.code, 0)
  t.same(await stage.call('CHECK', web, config, { ...ours, ...previousOf(added) }, 'reference'), { code: 0 })
  t.same(await stage.call('DEL', web, config, { ...ours, ...previousOf(added) }, 'reference'), { code: 0 })
  t.same(await residue(stage), before)
})

t.test('a link without addresses: CHECK succeeds, and fails when it has left the bridge', async t => {
  const { stage, web } = await open(t)
  const flat = { bridge: 'br7', ipam: {} }
  const added = await stage.call('ADD', web, flat, {}, 'reference')
  t.same(await stage.call('CHECK', web, flat, previousOf(added)), { code: 0 })
  const [, host] = (added.result?.interfaces ?? []) as { name: string }[]
  await stage.host.run('ip', 'link', 'set', host?.name ?? '', 'nomaster')
  t.match(await stage.call('CHECK', web, flat, previousOf(added)), { code: 1, error: /was not found$/ })
})

t.test('DEL of what was never there succeeds, and makes nothing', async t => {
  const { stage, web, before } = await open(t)
  for (const place of [web, 'stranger']) t.same(await stage.call('DEL', place, config), { code: 0 })
  t.same(await residue(stage), before)
})

t.test('DEL leaves an interface that is no pair, and the namespace that it is called in', async t => {
  const { stage, web } = await open(t)
  await web.run('ip', 'link', 'add', 'eth0', 'type', 'bridge')
  t.same(await stage.call('DEL', web, config), { code: 0 })
  t.equal((await web.run('ip', 'link', 'show', 'eth0', { mayFail: true })).code, 0)
  await stage.host.run('ip', 'link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'other')
  const call = { netns: '/proc/self/ns/net', ifname: 'uplink' }
  t.match(await stage.call('DEL', 'web2', config, call), { code: 1, error: /is the one that tsnet runs in/ })
  t.equal((await stage.host.run('ip', 'link', 'show', 'uplink', { mayFail: true })).code, 0)
  // From 1.7 on it says so, once the link is gone.
  const { code } = await stage.call('DEL', 'web2', config, call, 'reference')
  t.equal(code, isReferenceNew() ? 1 : 0, 'the control')
  t.equal((await stage.host.run('ip', 'link', 'show', 'uplink', { mayFail: true })).code, 1)
})

t.test(
  'an ADD that is killed at any point leaves nothing that a DEL, or the next ADD, does not take',
  async t => {
    const { stage, web, before } = await open(t)
    for (let ms = 20; ms <= 200; ms += 20) {
      const call = { plugin: 'bridge', command: 'ADD', config, containerId: 'web', netns: web.path }
      await stage.host.run('timeout', '-s', 'KILL', String(ms / 1000), `${folders.tsnet}/bridge`, {
        env: environmentOf('tsnet', call),
        stdin: JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'bridge', ...config }),
        mayFail: true,
      })
      const again =
        ms % 40 === 0 && (await web.run('ip', 'link', 'show', 'eth0', { mayFail: true })).code !== 0
      if (again) t.equal((await stage.call('ADD', web, config)).code, 0, `the next ADD after ${ms} ms`)
      t.same(await stage.call('DEL', web, config), { code: 0 })
      t.same(withoutLocks(await residue(stage)), before, `${ms} ms`)
    }
  },
)

/** The lock file of somebody who was killed stays until the next one has locked it. */
const withoutLocks = (lines: string[]) => lines.filter(line => !/^\/run\/tsnet\/[\w-]+\.lock$/.test(line))
