/** What is refused before anything is changed, and what is deleted and what never. */

import t from 'tap'
import { diff, type Host, lab, type Namespace, snapshot, type World, waitFor } from 'tsnet/lab'
import { connect } from '../../src/bridge/bridge.ts'
import { planLink } from '../../src/bridge/plan/plan.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import { Undo } from '../../src/model/undo.ts'
import { currentNetns } from '../../src/netns/netns.ts'
import { connectOn, disconnectOn, releaseOn } from '../support/connect.ts'
import { changesSince, kernelState, lastingChangesSince } from '../support/kernel-state.ts'
import { linkRequest, ownerOf } from '../support/link-plan.ts'

interface Scene {
  world: World
  host: Host
  web: Namespace
}

async function scene(): Promise<Scene> {
  const world = await lab()
  const host = await world.host('host')
  return { world, host, web: await host.namespace('web') }
}

const request = (name = 'web', rest: Parameters<typeof linkRequest>[1] = {}) =>
  linkRequest({ isGateway: true }, { owner: ownerOf(name), leases: ['10.1.0.2/24', 'fd01::2/64'], ...rest })

t.test('an interface that the container has already is refused', async t => {
  const { world, host, web } = await scene()
  await web.run('ip', 'link', 'add', 'eth0', 'type', 'ifb')
  const before = kernelState(host)
  await t.rejects(connectOn(host, web, request()), {
    code: 'conflict',
    message: /^interface eth0 exists already in /,
  })
  t.same(changesSince(host, before), [])
  await world.end()
})

t.test('our own namespace is refused as a container, unless that is wanted', async t => {
  const { world, host } = await scene()
  const before = kernelState(host)
  await t.rejects(connectOn(host, host, request()), { code: 'invalid-netns' })
  t.same(changesSince(host, before), [])
  t.match(await connectOn(host, host, request(), { allowOwnNetns: true }), {
    containerInterface: { name: 'eth0' },
  })
  await world.end()
})

t.test('the namespace of this process is refused', async t => {
  using own = currentNetns()
  await t.rejects(connect(planLink(request()), own, new Undo()), { code: 'invalid-netns' })
})

t.test('what was attached before is not attached again, and not taken away', async t => {
  const { world, host, web } = await scene()
  const other = await host.namespace('other')
  await connectOn(host, web, request())
  const tentative = async () => (await host.run('ip', '-6', 'address', 'show', 'tentative')).stdout
  await waitFor(async () => (await tentative()) === '', { what: 'the addresses to be usable' })
  const before = kernelState(host)
  await t.rejects(connectOn(host, other, request()), { code: 'conflict', message: /made before/ })
  t.same(await lastingChangesSince(host, before), [])
  await world.end()
})

t.test('a route that the kernel refuses is named', async t => {
  const { world, host, web } = await scene()
  const before = kernelState(host)
  for (const [lease, dst, gw] of [
    ['10.1.0.2/24', '192.168.7.0/24', '10.1.0.255'],
    ['fd01::2/64', '2001:db8::/32', 'fd01::2'],
  ] as const) {
    const routes = [{ dst: parseCidr(dst), gw: parseIp(gw) }]
    await t.rejects(connectOn(host, web, linkRequest({}, { leases: [lease], routes })), {
      code: 'kernel',
      message: new RegExp(`^the container cannot have route ${dst} via ${gw}: ip -. route append `),
    })
  }
  t.same(await lastingChangesSince(host, before), [])
  await world.end()
})

t.test('taking down needs neither record nor namespace, and may be repeated', async t => {
  const { world, host, web } = await scene()
  const before = await snapshot(host)
  await disconnectOn(host, ownerOf('web'))
  await connectOn(host, web, request())
  // The namespace is gone from its path but a process still holds it, so its links live on.
  const holder = web.start('sleep', '60')
  await host.run('umount', '-l', '/run/netns/web')
  await disconnectOn(host, ownerOf('web'))
  await disconnectOn(host, ownerOf('web'))
  t.equal(await releaseOn(host, 'cni0'), true)
  t.equal(await releaseOn(host, 'cni0'), false)
  await holder.stop('SIGKILL')
  t.same(
    diff(before, await snapshot(host)).filter(line => /^(link|address|route|setting) host/.test(line)),
    [],
  )
  await world.end()
})

t.test('a link that only has the name of ours is never deleted, and its name is not needed', async t => {
  const { world, host, web } = await scene()
  const [first, second] = planLink(request()).host.names
  await host.run('ip', 'link', 'add', first, 'type', 'veth', 'peer', 'name', 'other0')
  const before = kernelState(host)
  await disconnectOn(host, ownerOf('web'))
  t.same(changesSince(host, before), [])
  const { hostInterface } = await connectOn(host, web, request())
  t.equal(hostInterface.name, second)
  await disconnectOn(host, ownerOf('web'))
  await releaseOn(host, 'cni0')
  t.same(await lastingChangesSince(host, before, / web /), [])
  await world.end()
})

t.test('a link whose maker was killed before it got its alias is found by its MAC', async t => {
  const { world, host } = await scene()
  const before = kernelState(host)
  const { names, mac } = planLink(request()).host
  await host.run(
    'ip',
    'link',
    'add',
    names[0],
    'address',
    mac,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    'web',
  )
  await disconnectOn(host, ownerOf('web'))
  t.same(await lastingChangesSince(host, before), [])
  await world.end()
})

t.test('a bridge of ours with a port of somebody else stays', async t => {
  const { world, host, web } = await scene()
  await connectOn(host, web, request())
  await host.run('ip', 'link', 'add', 'mine0', 'master', 'cni0', 'type', 'veth')
  await disconnectOn(host, ownerOf('web'))
  t.equal(await releaseOn(host, 'cni0'), false)
  await host.run('ip', 'link', 'delete', 'mine0')
  t.equal(await releaseOn(host, 'cni0'), true)
  await world.end()
})

t.test('a failure after the link was made takes it down by the undo that connect left', async t => {
  const { world, host, web } = await scene()
  const undo = new Undo()
  let connecting: Promise<unknown> = Promise.resolve()
  host.inside(() => {
    connecting = connect(planLink(request()), web.netns, undo)
  })
  await connecting
  let undoing: Promise<Error[]> = Promise.resolve([])
  host.inside(() => {
    undoing = undo.rollback()
  })
  t.same(await undoing, [])
  t.notMatch((await host.run('ip', 'link')).stdout, /veth/)
  await world.end()
})
