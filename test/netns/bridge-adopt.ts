/** Bridges that exist already: what is kept, what is added, what is given back. */

import t from 'tap'
import { type Host, lab, type Namespace, type World } from 'tsnet/lab'
import type { BridgeLoan } from '../../src/bridge/bridge.ts'
import type { BridgeOptions } from '../../src/model/network.ts'
import { connectOn, disconnectLastOn, disconnectOn, FOREIGN_BRIDGE, releaseOn } from '../support/connect.ts'
import { changesSince, kernelState, lastingChangesSince } from '../support/kernel-state.ts'
import { linkRequest, ownerOf } from '../support/link-plan.ts'

interface Scene {
  world: World
  host: Host
  web: Namespace
  db: Namespace
  join(name: 'web' | 'db', options: Partial<BridgeOptions>, ...leases: string[]): Promise<BridgeLoan[]>
  addresses(): Promise<string[]>
}

/** A host on which these commands have been run. */
async function scene(...commands: string[]): Promise<Scene> {
  const world = await lab()
  const host = await world.host('host')
  const web = await host.namespace('web')
  const db = await host.namespace('db')
  if (commands.length > 0) await host.run('sh', '-ec', commands.join('\n'))
  return {
    world,
    host,
    web,
    db,
    async join(name, options, ...leases) {
      const loans: BridgeLoan[] = []
      const request = linkRequest(options, { owner: ownerOf(name), leases })
      await connectOn(host, name === 'web' ? web : db, request, { onLoan: loan => loans.push(loan) })
      return loans
    },
    async addresses() {
      const { stdout } = await host.run('ip', '-j', 'address', 'show', 'dev', 'cni0', 'scope', 'global')
      const [link] = JSON.parse(stdout) as { addr_info: { local: string; prefixlen: number }[] }[]
      return (link?.addr_info ?? [])
        .filter(each => each.local)
        .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
    },
  }
}

t.test('a bridge that exists is taken as it is, and given back what was added', async t => {
  const { world, host, join } = await scene(FOREIGN_BRIDGE, 'ip address add 192.168.9.1/24 dev lo')
  const before = kernelState(host)
  const loans = await join('web', { isGateway: true, promiscMode: true }, '10.1.0.2/24', 'fd01::2/64')
  t.same(loans, [
    {
      addresses: ['10.1.0.1/24', 'fd01::1/64'],
      promiscuous: true,
      settings: [{ name: 'net/ipv6/conf/cni0/accept_ra', value: '1' }],
    },
  ])
  t.match(
    (await host.run('ip', '-d', 'link', 'show', 'cni0')).stdout,
    /ageing_time 12300 .* mcast_snooping 0 /,
  )
  t.same(await join('db', { isGateway: true, promiscMode: true }, '10.1.0.3/24', 'fd01::3/64'), [], 'once')
  await disconnectOn(host, ownerOf('web'))
  await releaseOn(host, 'cni0', loans[0])
  t.match(
    changesSince(host, before).join(),
    /10\.1\.0\.1/,
    'nothing is given back while a container is on it',
  )
  await disconnectOn(host, ownerOf('db'))
  t.equal(await releaseOn(host, 'cni0', loans[0]), false)
  t.same(await lastingChangesSince(host, before, / (web|db) /), [])
  t.equal(await releaseOn(host, 'cni0', loans[0]), false, 'and again')
  await world.end()
})

t.test('the last container and its bridge go in one step; a bridge of somebody else stays', async t => {
  for (const [commands, options] of [
    [[], { isGateway: true }],
    [[FOREIGN_BRIDGE], { isGateway: true, promiscMode: true }],
    [[FOREIGN_BRIDGE], {}],
  ] as const) {
    const { world, host, join } = await scene(...commands)
    const before = kernelState(host)
    const [loan] = await join('web', options, '10.1.0.2/24')
    await join('db', options, '10.1.0.3/24')
    const lastOn = { bridge: 'cni0', loan }
    await disconnectLastOn(host, ownerOf('web'), lastOn)
    t.match(
      (await host.run('ip', 'link')).stdout,
      / cni0: [\s\S]*veth/,
      'nothing but the link while there is another',
    )
    await disconnectLastOn(host, ownerOf('db'), lastOn)
    t.same(await lastingChangesSince(host, before), [])
    await disconnectLastOn(host, ownerOf('db'), lastOn)
    t.same(changesSince(host, before), [], 'and again')
    await world.end()
  }
})

t.test('without isGateway a bridge of somebody else is not changed at all', async t => {
  const { world, host, join } = await scene(FOREIGN_BRIDGE)
  const before = kernelState(host)
  t.same(await join('web', {}, '10.1.0.2/24'), [])
  t.same(
    changesSince(host, before).filter(line => / host cni0 /.test(line)),
    [],
  )
  await world.end()
})

t.test('a bridge of ours is found again: same interface, nothing announced', async t => {
  const { world, host, join } = await scene()
  const index = async () => JSON.parse((await host.run('ip', '-j', 'link', 'show', 'cni0')).stdout)[0].ifindex
  t.same(await join('web', { isGateway: true }, '10.1.0.2/24'), [])
  const first = await index()
  t.same(await join('db', { isGateway: true, promiscMode: true }, '10.1.0.3/24'), [])
  t.equal(await index(), first)
  await world.end()
})

t.test('a bridge whose maker was killed before it got its alias is still ours', async t => {
  const { world, host, join } = await scene('ip link add cni0 address 0e:74:6e:01:02:03 type bridge')
  t.same(await join('web', { isGateway: true }, '10.1.0.2/24'), [])
  t.match((await host.run('ip', 'link', 'show', 'cni0')).stdout, /alias tsnet\n/)
  await disconnectOn(host, ownerOf('web'))
  t.equal(await releaseOn(host, 'cni0'), true)
  await world.end()
})

t.test('an interface that is no bridge is refused', async t => {
  for (const [kind, words] of Object.entries({ veth: /is a veth link/, ifb: /is a ifb link/ })) {
    const { world, host, join } = await scene(`ip link add cni0 type ${kind}`)
    const before = kernelState(host)
    await t.rejects(join('web', { isGateway: true }, '10.1.0.2/24'), { code: 'conflict', message: words })
    t.same(changesSince(host, before), [])
    await world.end()
  }
})

t.test(
  'an IPv4 address other than the gateway stands against it, unless forceAddress takes it away',
  async t => {
    const { world, host, join, addresses } = await scene(
      FOREIGN_BRIDGE,
      'ip address add 10.2.0.1/24 dev cni0',
    )
    const before = kernelState(host)
    await t.rejects(join('web', { isGateway: true }, '10.1.0.2/24'), {
      code: 'conflict',
      message: '"cni0" already has an IP address different from 10.1.0.1/24',
    })
    t.same(changesSince(host, before), [])
    await join('web', { isGateway: true, forceAddress: true }, '10.1.0.2/24')
    t.same(await addresses(), ['10.1.0.1/24'])
    await world.end()
  },
)

t.test('IPv6 addresses stand against each other only where their prefixes overlap', async t => {
  const { world, host, join, addresses } = await scene(
    FOREIGN_BRIDGE,
    'ip address add fd01::9/48 dev cni0 nodad',
  )
  const before = kernelState(host)
  await t.rejects(join('web', { isGateway: true }, 'fd01::2/64'), {
    code: 'conflict',
    message: '"cni0" already has an IP address different from fd01::1/64',
  })
  t.same(changesSince(host, before), [])
  await join('web', { isGateway: true }, 'fd02::2/64')
  t.same((await addresses()).sort(), ['fd01::9/48', 'fd02::1/64'], 'side by side')
  await join('db', { isGateway: true, forceAddress: true }, 'fd01::2/64')
  t.same((await addresses()).sort(), ['fd01::1/64', 'fd02::1/64'])
  await world.end()
})

t.test('a gateway that the bridge has already is left alone', async t => {
  const { world, host, join, addresses } = await scene(FOREIGN_BRIDGE, 'ip address add 10.1.0.1/24 dev cni0')
  const loans = await join('web', { isGateway: true }, '10.1.0.2/24')
  t.match(loans, [{ addresses: [] }])
  await disconnectOn(host, ownerOf('web'))
  await releaseOn(host, 'cni0', loans[0])
  t.same(await addresses(), ['10.1.0.1/24'], 'it was not ours to give back')
  await world.end()
})

t.test(
  'the MAC of a bridge never follows its ports, whoever made it, with and without addresses',
  async t => {
    const mac = async (host: Host) =>
      JSON.parse((await host.run('ip', '-j', 'link', 'show', 'cni0')).stdout)[0].address
    for (const [what, options, leases, commands] of [
      ['ours, layer 2 only', {}, [], []],
      ['ours, with gateway', { isGateway: true }, ['10.1.0.%/24'], []],
      [
        'foreign, MAC not fixed',
        {},
        [],
        ['ip link add cni0 type bridge', 'ip link add x0 address 06:00:00:00:00:01 master cni0 type veth'],
      ],
      [
        'foreign, MAC not fixed, with gateway',
        { isGateway: true },
        ['10.1.0.%/24'],
        ['ip link add cni0 type bridge'],
      ],
    ] as const) {
      const { world, host, join } = await scene(...commands)
      const leasesOf = (n: number) => leases.map(text => text.replace('%', String(n)))
      if (commands.length === 0) await join('db', options, ...leasesOf(9))
      const first = await mac(host)
      await join('web', options, ...leasesOf(2))
      t.equal(await mac(host), first, `${what}: a port came`)
      await host.run('ip', 'link', 'add', 'low0', 'address', '00:00:00:00:00:01', 'type', 'veth')
      if (!what.startsWith('foreign, MAC not fixed') || what.endsWith('gateway')) {
        await host.run('ip', 'link', 'set', 'low0', 'master', 'cni0')
        t.equal(await mac(host), first, `${what}: a port with a lower MAC came`)
        await host.run('ip', 'link', 'delete', 'low0')
      }
      await disconnectOn(host, ownerOf('web'))
      t.equal(await mac(host), first, `${what}: a port went`)
      await world.end()
    }
  },
)
