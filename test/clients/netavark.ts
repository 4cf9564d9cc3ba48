/**
 * A real podman from 5 on, whose netavark starts tsnet as the driver of networks: what `podman network create -d tsnet`
 * makes is a network of this host, its containers stand on it as those of every other runtime, and nothing is left.
 */

import { readdirSync, rmSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Snapshot, snapshot, waitFor } from 'tsnet/lab'
import { openEcho } from '../../src/lab/servers.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { inside, openNetns } from '../../src/netns/netns.ts'
import type { NetworkDetails } from '../../src/networks/networks.ts'
import type { ListedPort } from '../../src/publish/list.ts'
import { webServer } from '../support/busybox.ts'
import { Command } from '../support/daemon.ts'
import { readNetworkList } from '../support/libcni.ts'
import { CONFIGURED, needPlugins, PODMANS, Podman } from '../support/podman.ts'
import { at, clientReads, families, leftovers, type Site, siteFor } from '../support/site.ts'

t.setTimeout(600_000) // of the whole file; tap's own 30 s are short where other work goes on

interface Scene extends Site {
  podman: Podman
  tsnet: Command
  before: Snapshot
}

async function open(t: Test): Promise<Scene> {
  const site = await siteFor(t)
  const podman = await Podman.start(site.host, readNetworkList('ports'))
  await podman.run('container', 'ls') // makes what podman keeps for itself
  return {
    ...site,
    podman,
    tsnet: new Command(site.host, 'iptables', CONFIGURED),
    before: await snapshot(site.host),
  }
}

/** What is left, but for what the kernel tracks of connections that have ended. */
const residue = async ({ host, before }: Scene): Promise<string[]> =>
  leftovers(before, await snapshot(host), PODMANS).filter(line => !/^connection host (tcp|udp) /.test(line))

const LISTS = '/etc/cni/net.d'
const filesOf = ({ host }: Site): string[] =>
  readdirSync(host.path(LISTS)).filter(name => name.startsWith('90-'))

async function inspect({ tsnet }: Scene, name: string): Promise<NetworkDetails> {
  const { stdout } = await tsnet.run('network', 'inspect', name)
  return (JSON.parse(stdout) as [NetworkDetails])[0]
}

needPlugins(() => {
  t.test(
    'a container with ports, addresses, a MAC and aliases of choice runs, restarts, and goes',
    async t => {
      const scene = await open(t)
      const { host, podman, tsnet } = scene
      const daemon = await tsnet.daemon()
      await podman.run('network', 'create', '-d', 'tsnet', '--ipv6', '--subnet', '10.77.0.0/24', 'front')
      t.same(filesOf(scene), ['90-front.conflist'])
      const asked = ['--ip', '10.77.0.44', '--mac-address', '02:00:00:00:00:44', '--network-alias', 'shop']
      await podman.container(
        'web',
        ['--network', 'front', ...asked, '-p', '8080-8081:80-81'],
        ...webServer('web'),
      )
      for (const family of families)
        t.equal(await clientReads(scene, family, 8080), `web saw ${at.client[family]}\n`)
      const page = await waitFor(() => host.fetch('http://127.0.0.1:8080/cgi-bin/who'), { what: 'localhost' })
      t.match(page.body, /^web saw /, 'from the host at 127.0.0.1')

      const format =
        '{{with index .NetworkSettings.Networks "front"}}{{.IPAddress}} {{.MacAddress}} {{.Gateway}}{{end}}'
      t.equal(
        await podman.run('inspect', '--format', format, 'web'),
        '10.77.0.44 02:00:00:00:00:44 10.77.0.1',
      )
      t.match((await inspect(scene, 'front')).attachments, [
        { name: 'web', ifname: 'eth0', alive: true, ports: [{ hostPort: 8080, count: 2 }] },
      ])
      const listed = JSON.parse((await tsnet.run('ports', '--all', '--json')).stdout) as ListedPort[]
      t.match(listed, [{ hostPort: 8080, count: 2, network: 'front', containers: [{ name: 'web' }] }])
      t.match((await tsnet.run('ps')).stdout, /^web +podman +front /m)

      await podman.container('client', ['--network', 'front'], '/bin/busybox', 'sleep', '1000')
      t.match(
        await podman.shell('client', 'busybox cat /etc/resolv.conf'),
        /^search tsnet\.internal\nnameserver 10\.77\.0\.1/,
      )
      for (const name of ['web', 'shop'])
        t.match(
          await podman.shell('client', `busybox wget -q -O- http://${name}.tsnet.internal/cgi-bin/who`),
          /^web saw (10\.77\.0\.|fd)/,
          name,
        )

      await podman.run('restart', '-t', '0', 'web')
      t.equal(await clientReads(scene, 'v4', 8080), `web saw ${at.client.v4}\n`, 'restarted')
      await podman.run('network', 'reload', 'web')
      t.equal(await clientReads(scene, 'v4', 8080), `web saw ${at.client.v4}\n`, 'made anew')
      t.equal(
        await podman.run('inspect', '--format', format, 'web'),
        '10.77.0.44 02:00:00:00:00:44 10.77.0.1',
      )

      await t.rejects(podman.run('network', 'rm', 'front'), /being used/)
      await podman.run('rm', '-f', '-t', '0', 'web', 'client')
      await podman.run('network', 'rm', 'front')
      await waitFor(async () => filesOf(scene).length === 0, {
        what: 'the list to go with the network of podman',
      })
      t.match(await daemon.stop(), { code: 0 })
      t.same(await residue(scene), [])
    },
  )

  t.test(
    'a pod has ports, a container that died with all that podman ran for it starts again, a lost list comes back',
    async t => {
      const scene = await open(t)
      const { host, podman, tsnet } = scene
      await podman.run('network', 'create', '-d', 'tsnet', 'front')
      await podman.run('pod', 'create', '--name', 'shop', '--network', 'front', '-p', '8080:80')
      await podman.container('web', ['--pod', 'shop'], ...webServer('web'))
      t.equal(await clientReads(scene, 'v4', 8080), `web saw ${at.client.v4}\n`)
      await podman.run('pod', 'rm', '-f', '-t', '0', 'shop')

      await podman.container('web', ['--network', 'front', '-p', '8080:80'], ...webServer('web'))
      const pids = await podman.run('inspect', '--format', '{{.State.ConmonPid}} {{.State.Pid}}', 'web')
      await host.run('kill', '-9', ...pids.split(' '))
      await t.rejects(podman.run('restart', '-t', '0', 'web'), /conmon exited prematurely/)
      await podman.run('start', 'web')
      t.equal(
        await clientReads(scene, 'v4', 8080),
        `web saw ${at.client.v4}\n`,
        'all that ran for it was killed',
      )

      const list = host.path(`${LISTS}/90-front.conflist`)
      const { bridge, subnets } = await inspect(scene, 'front')
      rmSync(list)
      await podman.run('restart', '-t', '0', 'web')
      t.equal(await clientReads(scene, 'v4', 8080), `web saw ${at.client.v4}\n`, 'the list was lost')
      t.match(await inspect(scene, 'front'), { bridge, subnets }, 'and is what it was')
      await podman.run('rm', '-f', '-t', '0', 'web')
      await podman.run('network', 'rm', 'front')
      await tsnet.run('network', 'rm', 'front')
      t.same(await residue(scene), [])
    },
  )

  t.test('ports of one address, ranges and UDP lead to a container, and others do not', async t => {
    const scene = await open(t)
    const { host, client, podman, tsnet } = scene
    await podman.run('network', 'create', '-d', 'tsnet', 'front')
    const ports = [
      `${at.host.v4}:8070-8072:80-82`,
      '127.0.0.1:8080:80',
      '5353:53/udp',
      '20000-20999:20000-20999/udp',
    ]
    const options = ports.flatMap(port => ['-p', port])
    await podman.container('web', ['--network', 'front', ...options], ...webServer('web'))
    t.equal(await clientReads(scene, 'v4', 8070), `web saw ${at.client.v4}\n`)
    const page = await waitFor(() => host.fetch('http://127.0.0.1:8080/cgi-bin/who'), { what: 'localhost' })
    t.match(page.body, /^web saw /)
    await t.rejects(client.fetch(`http://${at.host.v4}:8080/`), 'of loopback alone')
    const pid = await podman.run('inspect', '--format', '{{.State.Pid}}', 'web')
    using container = openNetns(host.path(`/proc/${pid}/ns/net`))
    for (const [port, inner] of [
      [5353, 53],
      [20_999, 20_999],
    ] as const) {
      using _echo = inside(container, () => openEcho('web', 'udp', inner, parseIp('0.0.0.0')))
      t.match(await client.ask('udp', at.host.v4, port), { place: 'web', peer: at.client.v4 }, `${port}/udp`)
    }
    const listed = JSON.parse((await tsnet.run('ports', '--all', '--json')).stdout) as ListedPort[]
    t.same(listed.map(({ hostPort, count = 1 }) => [hostPort, count]).sort(), [
      [20_000, 1000],
      [5353, 1],
      [8070, 3],
      [8080, 1],
    ])
    await podman.run('rm', '-f', '-t', '0', 'web')
    await podman.run('network', 'rm', 'front')
    await tsnet.run('network', 'rm', 'front')
    t.same(await residue(scene), [])
  })

  t.test('a network that is there is joined, beside others; one without ports leaves them out', async t => {
    const scene = await open(t)
    const { host, podman, tsnet } = scene
    await host.namespace('lone')
    scene.before = await snapshot(host)
    await tsnet.run('network', 'create', 'front', '--names')
    await podman.run('network', 'create', '-d', 'tsnet', '-o', 'tsnet.network=front', 'shared')
    t.same(filesOf(scene), ['90-front.conflist'], 'no other list')
    await podman.run('network', 'create', '-d', 'tsnet', '--internal', 'back')
    await tsnet.run('attach', 'front', 'netns:lone')
    await podman.container('web', ['--network', 'shared,back', '-p', '8080:80'], ...webServer('web'))
    t.equal(await clientReads(scene, 'v4', 8080), `web saw ${at.client.v4}\n`)
    t.same((await inspect(scene, 'front')).attachments.map(({ name }) => name).sort(), ['lone', 'web'])
    t.match((await inspect(scene, 'back')).attachments, [{ name: 'web', ports: [] }])
    await podman.run('network', 'disconnect', 'back', 'web')
    await podman.run('network', 'connect', '--alias', 'shop', 'back', 'web')
    await podman.run('network', 'disconnect', 'shared', 'web')
    t.match((await inspect(scene, 'back')).attachments, [{ name: 'web' }])
    await podman.run('network', 'connect', 'shared', 'web')
    t.equal(await clientReads(scene, 'v4', 8080), `web saw ${at.client.v4}\n`, 'joined again')

    await podman.run('rm', '-f', '-t', '0', 'web')
    await tsnet.run('detach', 'front', 'netns:lone')
    await podman.run('network', 'rm', 'shared', 'back')
    t.same(filesOf(scene).sort(), ['90-back.conflist', '90-front.conflist'], 'nobody told us')
    await podman.run('network', 'create', '-d', 'tsnet', 'back')
    await podman.run('network', 'rm', 'back')
    await tsnet.run('network', 'rm', 'front', 'back')
    t.same(await residue(scene), [])
  })

  t.test('what cannot be is refused in words that podman shows, and nothing is made', async t => {
    const scene = await open(t)
    const { podman, tsnet } = scene
    await tsnet.run('network', 'create', 'there')
    const create = (...words: string[]) => podman.run('network', 'create', '-d', 'tsnet', ...words)
    await t.rejects(create('-o', 'vlan=5', 'a'), /netavark: -o vlan: a network with VLANs/)
    await t.rejects(
      create('-o', 'tsnet.network=nowhere', 'a'),
      /there is no network .*nowhere.*there are .*there/,
    )
    await t.rejects(create('--ipam-driver', 'dhcp', 'a'), /--ipam-driver: dhcp/)
    await t.rejects(create('there'), /there is a network there already/)
    await tsnet.run('network', 'rm', 'there')
    await create('a')
    await t.rejects(podman.container('web', ['--network', 'a:vrf=red'], ...webServer('web')), /vrf/)
    await t.rejects(
      podman.container('db', ['--network', 'a', '--ip', '192.0.2.9'], ...webServer('db')),
      /192\.0\.2\.9/,
    )
    await podman.run('rm', '-f', '-i', '-t', '0', 'web', 'db')
    await podman.run('network', 'rm', 'a')
    await tsnet.run('network', 'rm', 'a')
    t.same(await residue(scene), [])
  })
})
