/**
 * Every network list of conf/ does what it promises. support/site.ts draws who is where; the containers are
 * namespaces `web` and `db` of the host.
 */

import { copyFileSync, readdirSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Namespace, NoAnswer, waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { askUdp } from '../support/dns.ts'
import { HostSite, type Machine } from '../support/host-site.ts'
import {
  addNetworkList,
  type Call,
  checkNetworkList,
  deleteNetworkList,
  type Result,
  readNetworkList,
} from '../support/libcni.ts'
import { installPlugins, pluginsOf } from '../support/plugins.ts'
import { at, ECHO, families, openSite, type Site } from '../support/site.ts'

t.setTimeout(600_000) // of the whole file; tap's own 30 s are short where other work goes on

const tested: string[] = []

interface Joined {
  namespace: Namespace
  result: Result
  v4: string
  v6: string
}

interface Scene extends Site {
  /** Puts a new container on the network, as a runtime does. */
  join: (name: string, capabilities?: Record<string, unknown>) => Promise<Joined>
}

/** A test of one list; each container that joined is checked and removed again. */
function promise(name: string, sentence: string, work: (t: Test, scene: Scene) => Promise<void>): void {
  tested.push(`${name}.conflist`)
  t.test(`${name}.conflist: ${sentence}`, async t => {
    const site = await openSite()
    t.teardown(() => site.world.end())
    await installPlugins(site.host)
    const list = readNetworkList(name)
    const execute = pluginsOf(site.host)
    const joined: [Call, Result][] = []
    await work(t, {
      ...site,
      async join(name, capabilities = {}) {
        const namespace = await site.host.namespace(name)
        const call = { containerId: name, netns: namespace.path, ifname: 'eth0', capabilities }
        const result = await addNetworkList(list, call, execute)
        joined.push([call, result])
        return { namespace, result, ...addressesOf(result) }
      },
    })
    for (const [call, result] of joined) await checkNetworkList(list, call, result, execute)
    for (const [call, result] of joined) await deleteNetworkList(list, call, result, execute)
    const { stdout } = await site.host.run('ip', '-o', 'link')
    t.notMatch(stdout, /master/, 'no container hangs on a bridge any more')
  })
}

function addressesOf(result: Result): { v4: string; v6: string } {
  const addresses = (result.ips ?? []).map(({ address }) => address.replace(/\/.*/, ''))
  const find = (v6: boolean) => addresses.find(address => address.includes(':') === v6) ?? ''
  return { v4: find(false), v6: find(true) }
}

promise('ipv4', 'containers reach each other and the world, over IPv4 alone', async (t, { join }) => {
  const [web, db] = [await join('web'), await join('db')]
  web.namespace.listen('tcp', 80)
  t.match(await db.namespace.ask('tcp', web.v4, 80), { place: 'web', peer: db.v4 })
  t.match(await web.namespace.ask('tcp', at.outside.v4, ECHO), { peer: at.hostOutside.v4 })
  t.equal(web.v6, '')
  const { stdout } = await web.namespace.run('ip', '-6', '-o', 'address', 'show', 'dev', 'eth0')
  t.equal(stdout, '', 'the interface has no IPv6 address at all')
})

promise(
  'dual-stack',
  'containers reach each other and the world, over both families',
  async (t, { join }) => {
    const [web, db] = [await join('web'), await join('db')]
    web.namespace.listen('tcp', 80)
    for (const family of families) {
      t.match(await db.namespace.ask('tcp', web[family], 80), { place: 'web', peer: db[family] })
      t.match(await web.namespace.ask('tcp', at.outside[family], ECHO), { peer: at.hostOutside[family] })
    }
  },
)

promise('ports', 'a published port leads to the container', async (t, { join, client, host }) => {
  const portMappings = [
    { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
    { hostPort: 5353, containerPort: 53, protocol: 'udp' },
  ]
  const web = await join('web', { portMappings })
  const db = await join('db')
  web.namespace.listen('tcp', 80)
  web.namespace.listen('udp', 53)
  for (const family of families) {
    const address = at.host[family]
    t.match(
      await client.ask('tcp', address, 8080),
      { place: 'web', peer: at.client[family] },
      'from a client',
    )
    t.match(await client.ask('udp', address, 5353), { place: 'web', peer: at.client[family] })
    t.match(await host.ask('tcp', address, 8080), { place: 'web' }, 'from the host')
    t.match(await db.namespace.ask('tcp', address, 8080), { place: 'web' }, 'from a neighbour')
    t.match(await web.namespace.ask('tcp', address, 8080), { place: 'web' }, 'from the container itself')
  }
})

promise('ports', 'a runtime may ask for an address and a MAC', async (t, { join }) => {
  const web = await join('web', { ips: ['10.77.2.50/24'], mac: '02:00:00:00:00:50' })
  t.equal(web.v4, '10.77.2.50')
  t.match(web.result.interfaces, [{}, {}, { name: 'eth0', mac: '02:00:00:00:00:50' }])
})

promise('names', 'containers find each other by name, over both families', async (t, { join, host }) => {
  const daemon = await new Command(host, 'iptables').daemon()
  const [web, db] = [await join('web'), await join('db')]
  const [server = ''] = (web.result.dns as { nameservers?: string[] }).nameservers ?? []
  t.equal(server, '10.77.6.1')
  for (const name of ['db', 'db.tsnet.internal'])
    for (const [type, family] of [
      ['A', 'v4'],
      ['AAAA', 'v6'],
    ] as const) {
      const found = await waitFor(
        async () => {
          const said = await askUdp(web.namespace, { server, name, type, withinMs: 1_000 })
          return typeof said !== 'string' && said.code === 'NOERROR' ? said.data : undefined
        },
        { what: `an answer to ${name}` },
      )
      t.same(found, [db[family]], `${name} ${type}`)
    }
  await daemon.stop()
})

promise('bandwidth', 'what a container sends and receives is limited', async (t, { join, outside }) => {
  const web = await join('web')
  outside.start('socat', 'TCP-LISTEN:9000,fork,reuseaddr', 'SYSTEM:wc -c')
  outside.start('socat', '-U', 'TCP-LISTEN:9001,fork,reuseaddr', 'SYSTEM:head -c 10000000 /dev/zero')
  const server = (port: number) => `TCP:${at.outside.v4}:${port},retry=50,interval=0.1`
  // 20 Mbit/s out and 100 Mbit/s in, beyond the bursts of 2 and 10 Mbit.
  const send = `head -c 3000000 /dev/zero | socat -t 30 - ${server(9000)}`
  const sent = await secondsOf(web.namespace, send, 3_000_000)
  t.ok(sent > (24 - 2) / 20 / 1.1, `3 MB out took ${sent} s`)
  const received = await secondsOf(web.namespace, `socat -u ${server(9001)} - | wc -c`, 10_000_000)
  t.ok(received > (80 - 10) / 100 / 1.1, `10 MB in took ${received} s`)
})

promise('isolated', 'containers reach each other and nobody else', async (t, { join, host, client }) => {
  const [web, db] = [await join('web'), await join('db')]
  web.namespace.listen('tcp', 80)
  for (const family of families) {
    t.match(await db.namespace.ask('tcp', web[family], 80), { place: 'web', peer: db[family] })
    await t.rejects(web.namespace.ask('tcp', at.outside[family], ECHO), { code: 'ENETUNREACH' })
    await t.rejects(web.namespace.ask('tcp', at.host[family], 22), { code: 'ENETUNREACH' })
    await t.rejects(host.ask('tcp', web[family], 80, { withinMs: 300 }), NoAnswer)
    await t.rejects(client.ask('tcp', web[family], 80, { withinMs: 300 }), NoAnswer)
  }
})

promise('layer2', 'containers get a port of the bridge and no address', async (t, { join }) => {
  const [web, db] = [await join('web'), await join('db')]
  t.same(web.result.ips ?? [], [])
  const { stdout } = await web.namespace.run('ip', '-o', 'address', 'show', 'dev', 'eth0', 'scope', 'global')
  t.equal(stdout, '')
  web.namespace.address('eth0', '10.0.0.1/24')
  db.namespace.address('eth0', '10.0.0.2/24')
  web.namespace.listen('tcp', 80)
  t.match(await db.namespace.ask('tcp', '10.0.0.1', 80), { place: 'web', peer: '10.0.0.2' })
})

tested.push('hosts.conflist')
t.test('hosts.conflist: containers of two hosts reach each other, with an etcd between them', async t => {
  const site = await HostSite.open(t, 'nftables', ['one', 'two'])
  for (const { host } of site.machines)
    copyFileSync('conf/hosts.conflist', host.path('/etc/cni/net.d/hosts.conflist'))
  const attach = async ({ host, tsnet }: Machine, name: string) => {
    const namespace = await host.namespace(name)
    const { stdout } = await waitFor(() => tsnet.run('attach', 'hosts', `netns:${name}`), {
      what: 'the host has a prefix',
      withinMs: 60_000,
    })
    namespace.listen('tcp', 80)
    const addresses = stdout.trim().split(' ').slice(3)
    return { namespace, addresses: addresses.map(each => each.replace(/\/.*/, '')) }
  }
  const [one, two] = site.machines as [Machine, Machine]
  const [web, db] = [await attach(one, 'web'), await attach(two, 'db')]
  for (const [i, address] of web.addresses.entries()) {
    const asked = () => db.namespace.ask('tcp', address, 80)
    t.match(await waitFor(asked, { what: 'they reach each other', withinMs: 60_000 }), {
      peer: db.addresses[i],
    })
  }
  t.equal(web.addresses.length, 2)
})

t.test('every list of conf/ is tested here', async t => {
  const lists = readdirSync('conf').filter(name => name.endsWith('.conflist'))
  t.same(lists.sort(), [...new Set(tested)].sort())
})

/** How long a command runs that prints how many bytes arrived. */
async function secondsOf(place: Namespace, command: string, bytes: number): Promise<number> {
  const start = performance.now()
  const { stdout } = await place.run('sh', '-c', command)
  if (Number(stdout) !== bytes) throw new Error(`${stdout.trim()} of ${bytes} bytes arrived`)
  return (performance.now() - start) / 1000
}
