/**
 * Networks of a real dockerd that are made by our drivers: `docker network create -d tsnet`.
 *
 *     client eth0 ── lan host ─── ts-front ── web, db, and one of podman or LXC
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Host, type Snapshot, snapshot, waitFor } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Command } from '../support/daemon.ts'
import { Dockerd } from '../support/dockerd.ts'
import { Lxc } from '../support/lxc.ts'
import { at, leftovers, type Site, siteFor } from '../support/site.ts'

t.setTimeout(600_000)

const SPEC = '/etc/docker/plugins/tsnet.spec'

async function begin(t: Test, ...options: string[]) {
  const site = await siteFor(t)
  const { host } = site
  await host.tmpfs('/etc/docker', '/var/lib/tsnet')
  mkdirSync(host.path('/etc/docker/plugins'))
  writeFileSync(host.path(SPEC), 'unix:///run/tsnet/docker.sock\n')
  const tsnet = new Command(host, 'iptables')
  const daemon = await tsnet.daemon()
  const docker = await Dockerd.start(host, ...options)
  const before = await snapshot(host)
  return { site, host, tsnet, daemon, docker, before }
}

/** With addresses of ours. */
const OURS = ['-d', 'tsnet', '--ipam-driver', 'tsnet']

const page = (host: Host, url: string) =>
  waitFor(() => host.fetch(`http://${url}/cgi-bin/who`), { what: `an answer of ${url}` }).then(({ body }) =>
    body.trim(),
  )

/** What a container reads from another by its name. */
const reads = (docker: Dockerd, from: string, name: string) =>
  waitFor(() => docker.run('exec', from, '/bin/busybox', 'wget', '-qO-', `http://${name}/cgi-bin/who`), {
    what: `${name} to answer ${from}`,
  })

const members = async (tsnet: Command, network: string): Promise<{ name: string; addresses: string[] }[]> =>
  JSON.parse((await tsnet.run('network', 'inspect', network)).stdout)[0].attachments

/** Of dockerd and of the runtimes beside it, what the first network leaves of folders, and what ends by itself. */
const NOT_OURS =
  /^file \/etc\/cni\/net\.d appeared|^connection host \S+ (TIME_WAIT )?src=(\S+) dst=\2 |^mount|^socket host unix (\/run\/tsnet|@)/

async function residue(host: Host, before: Snapshot, docker: Dockerd): Promise<string[]> {
  let left: string[] = []
  const keeps = await docker.keeps()
  const clean = async () => {
    left = leftovers(before, await snapshot(host), keeps).filter(line => !NOT_OURS.test(line))
    return left.length === 0
  }
  await waitFor(clean, { what: 'the host to be as before' }).catch(() => {})
  return left
}

async function clientReads({ client }: Site, port: number) {
  return page(client, `${at.host.v4}:${port}`)
}

t.test(
  'containers of Docker on a network of ours: names, addresses, ports, connect, and nothing left',
  async t => {
    const { site, host, tsnet, docker, before } = await begin(t)
    await docker.run(
      'network',
      'create',
      ...OURS,
      '--subnet',
      '10.66.0.0/24',
      '--gateway',
      '10.66.0.1',
      '-o',
      'tsnet.name=front',
      'front',
    )
    const inspected = JSON.parse(await docker.run('network', 'inspect', 'front'))
    t.match(inspected, [
      {
        Driver: 'tsnet',
        IPAM: { Driver: 'tsnet', Config: [{ Subnet: '10.66.0.0/24', Gateway: '10.66.0.1' }] },
      },
    ])
    // Today's command says it for each network, which dockerd understands from 25 on.
    const mac = (await docker.major()) < 25 ? [] : ['--mac-address', '02:42:0a:42:00:07']
    await docker.web(
      'web',
      '--network',
      'front',
      '--ip',
      '10.66.0.7',
      ...mac,
      '--network-alias',
      'www',
      '-p',
      '8080:80',
      '-p',
      '127.0.0.1:8082:80',
      '-p',
      '8090-8091:80-81/udp',
    )
    await docker.idle('db', '--network', 'front')
    t.match(await reads(docker, 'db', 'web'), /^web saw 10\.66\.0\.\d+$/)
    t.match(await reads(docker, 'db', 'www'), /^web saw 10\.66\.0\.\d+$/)
    const format =
      '{{with index .NetworkSettings.Networks "front"}}{{.IPAddress}} {{.Gateway}} {{.MacAddress}}{{end}}'
    const shown =
      mac.length > 0 ? /^10\.66\.0\.7 10\.66\.0\.1 02:42:0a:42:00:07$/ : /^10\.66\.0\.7 10\.66\.0\.1 /
    t.match(await docker.run('inspect', '--format', format, 'web'), shown)
    t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`)
    t.match(await page(host, '127.0.0.1:8080'), /^web saw /)
    t.match(await page(host, '127.0.0.1:8082'), /^web saw /)
    const ports = JSON.parse((await tsnet.run('ports', '--all', '--json')).stdout) as { hostPort: number }[]
    t.same(ports.map(({ hostPort }) => hostPort).sort(), [8080, 8082, 8090])
    await waitFor(async () => (await members(tsnet, 'front')).some(({ name }) => name === 'web'), {
      what: 'its name to be known',
      withinMs: 30_000,
    })

    await docker.run('network', 'create', ...OURS, '-o', 'tsnet.name=back', '--internal', 'back')
    await docker.run('network', 'connect', '--alias', 'behind', 'back', 'web')
    await docker.run('network', 'connect', 'back', 'db')
    t.match(await reads(docker, 'db', 'behind'), /^web saw /)
    t.equal((await members(tsnet, 'back')).length, 2)
    await docker.run('network', 'disconnect', 'back', 'web')
    t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`)
    await docker.run('network', 'disconnect', 'back', 'db')

    await docker.run('restart', '-t', '0', 'web')
    t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`)
    await t.rejects(
      docker.run('network', 'create', ...OURS, '-o', 'tsnet.nmae=x', 'odd'),
      /tsnet\.nmae: no such option/,
    )
    await t.rejects(
      docker.web('late', '--network', 'front', '-p', '8080:80'),
      /port 8080\/tcp is already published for container \S+ on network front/,
    )
    await docker.run('rm', '-f', 'late')
    await docker.run('rm', '-f', 'web', 'db')
    await docker.run('network', 'rm', 'front', 'back')
    t.same(await residue(host, before, docker), [])
  },
)

t.test('Docker and LXC on one network reach each other by address and by name, whoever made it', async t => {
  const { host, tsnet, docker } = await begin(t)
  const lxc = await Lxc.start(host)
  lxc.create('db', undefined, webServer('db'))
  await lxc.up('db')
  await tsnet.run('network', 'create', 'front', '--subnet', '10.67.0.0/24', '--names')
  const joins = ['-o', 'tsnet.network=front', '--ipam-opt', 'tsnet.network=front']
  await docker.run('network', 'create', ...OURS, ...joins, 'shared')
  await docker.web('web', '--network', 'shared', '--dns', '10.67.0.1', '-p', '8080:80')
  await tsnet.run('attach', 'front', 'lxc:db', '-p', '8081:80')
  t.match(await reads(docker, 'web', 'db'), /^db saw 10\.67\.0\.2$/)
  const resolved = async () => JSON.parse((await tsnet.run('resolve', 'web', '--json')).stdout)
  const told = await waitFor(async () => ((await resolved()).length > 0 ? resolved() : undefined), {
    what: 'the name of web to be told',
    withinMs: 30_000,
  })
  t.match(told, [{ name: 'web', network: 'front', addresses: ['10.67.0.2'] }])
  const ofLxc = await host.run(
    'lxc-attach',
    '-n',
    'db',
    '--',
    '/bin/busybox',
    'wget',
    '-qO-',
    'http://10.67.0.2/cgi-bin/who',
  )
  t.match(ofLxc.stdout, /^web saw 10\.67\.0\.3\n$/)
  const ports = JSON.parse((await tsnet.run('ports', '--all', '--json')).stdout) as { hostPort: number }[]
  t.same(ports.map(({ hostPort }) => hostPort).sort(), [8080, 8081])
  // The other way round: a container of Docker's default kind of addresses, and one of LXC on its network.
  await docker.run('network', 'create', '-d', 'tsnet', '-o', 'tsnet.name=theirs', 'theirs')
  await docker.idle('other', '--network', 'theirs')
  const [address = ''] =
    (await tsnet.run('attach', 'theirs', 'lxc:db')).stdout.match(/\d+\.\d+\.\d+\.\d+/) ?? []
  const page = await docker.run(
    'exec',
    'other',
    '/bin/busybox',
    'wget',
    '-qO-',
    `http://${address}/cgi-bin/who`,
  )
  t.match(page, /^db saw /)
  await docker.run('rm', '-f', 'web', 'other')
  await docker.run('network', 'rm', 'shared', 'theirs')
  const networks = JSON.parse((await tsnet.run('network', 'ls', '--json')).stdout)
  t.match(networks, [{ name: 'front' }, { name: 'theirs' }], 'what others are on stays')
  await lxc.down('db')
})

t.test('networks of both families, and one of whose addresses Docker knows nothing', async t => {
  const { site, host, docker, before } = await begin(t)
  const subnets = ['--ipv6', '--subnet', '10.68.0.0/24', '--subnet', 'fd00:68::/64']
  await docker.run('network', 'create', ...OURS, ...subnets, 'both')
  await docker.run('network', 'create', '-d', 'tsnet', '--ipam-driver', 'null', 'quiet')
  const wget = (from: string, to: string) =>
    docker.run('exec', from, '/bin/busybox', 'wget', '-qO-', `http://${to}/cgi-bin/who`)
  for (const network of ['both', 'quiet']) {
    await docker.web('web', '--network', network, '-p', '8080:80')
    await docker.idle('db', '--network', network)
    t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`, network)
    if (network === 'both') {
      const format = '{{.NetworkSettings.Networks.both.GlobalIPv6Address}}'
      const address = await docker.run('inspect', '--format', format, 'web')
      t.match(address, /^fd00:68::\w+$/)
      t.match(await wget('db', `[${address}]`), /^web saw fd00:68::/)
      t.equal(await page(site.client, `[${at.host.v6}]:8080`), `web saw ${at.client.v6}`)
    } else {
      const [, address = ''] =
        (await docker.run('exec', 'web', '/bin/busybox', 'ip', 'addr', 'show', 'dev', 'eth0')).match(
          /inet ([\d.]+)/,
        ) ?? []
      t.match(await wget('db', address), /^web saw /)
    }
    await docker.run('rm', '-f', 'web', 'db')
    await docker.run('network', 'rm', network)
  }
  t.same(await residue(host, before, docker), [])
})

for (const options of [['--live-restore'], []]) {
  t.test(
    `dockerd ${options.join('')} and the daemon die and come back: who runs is served, nothing is left`,
    async t => {
      const { site, host, tsnet, daemon, docker, before } = await begin(t, ...options)
      await docker.run('network', 'create', ...OURS, '-o', 'tsnet.name=front', 'front')
      await docker.web('web', '--network', 'front', '-p', '8080:80', '--restart', 'always')
      const served = async (when: string) =>
        t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`, when)
      await served('at first')
      await docker.down('SIGKILL')
      await served('while dockerd is dead')
      await docker.up()
      await served('when it is back')
      await docker.down()
      await docker.up()
      await served('after it was restarted')
      await daemon.stop('SIGKILL')
      await served('while there is no daemon')
      const next = await tsnet.daemon()
      await served('when there is another')
      await docker.run('restart', '-t', '0', 'web')
      await served('after the container was restarted')
      await docker.run('rm', '-f', 'web')
      await docker.run('network', 'rm', 'front')
      t.same(await residue(host, before, docker), [])
      await next.stop()
    },
  )
}
