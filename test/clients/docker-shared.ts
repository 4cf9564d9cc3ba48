/**
 * A real dockerd's networks of ours, shared: containers of Docker, podman and LXC reach each other, by address and by name.
 *
 *     client eth0 ── lan host ─── ts-front ── Docker's web, LXC's db, podman's shop
 */

import { dirname } from 'node:path'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { imageOn, webServer } from '../support/busybox.ts'
import { EXECUTABLE } from '../support/daemon.ts'
import { clientReads, dockerSite, OURS, reads, residue } from '../support/docker-network.ts'
import { readDocument } from '../support/document.ts'
import { readNetworkList } from '../support/libcni.ts'
import { Lxc } from '../support/lxc.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { hasCni, PODMANS, Podman } from '../support/podman.ts'
import { at } from '../support/site.ts'

t.setTimeout(600_000)

const LXCS = /lxc|net\/ipv[46]\/.*forward/

t.test('Docker and LXC on one network reach each other by address and by name, whoever made it', async t => {
  const { host, tsnet, docker } = await dockerSite(t)
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

t.test('podman and LXC are on a network of Docker’s, and its containers fetch from them by name', async t => {
  const { site, host, tsnet, docker, before } = await dockerSite(t)
  const podman = await Podman.start(host, readNetworkList('ports'))
  // LXC from 6 on and podman's runc want different cgroups on one host; then LXC is above, beside Docker alone.
  const lxc = hasCni() ? await Lxc.start(host) : undefined
  lxc?.create('db', undefined, webServer('db'))
  await lxc?.up('db')
  const gateway = '10.66.0.1'
  const front = ['--subnet', '10.66.0.0/24', '-o', 'tsnet.name=front', '-o', 'tsnet.names=true', 'front']
  await docker.run('network', 'create', ...OURS, ...front)
  await docker.web('web', '--network', 'front', '--dns', gateway, '-p', '8080:80')
  if (lxc !== undefined) await tsnet.run('attach', 'front', 'lxc:db', '-p', '8081:80')
  if (!hasCni()) await podman.run('network', 'create', '-d', 'tsnet', '-o', 'tsnet.network=front', 'front')
  await podman.container('shop', ['--network', 'front', '-p', '8082:80'], ...webServer('shop'))

  const joined = lxc === undefined ? ['shop'] : ['shop', 'db']
  for (const name of joined)
    t.match(await reads(docker, 'web', name), new RegExp(`^${name} saw 10\\.66\\.0\\.\\d+$`))
  const address = await docker.run(
    'inspect',
    '--format',
    '{{.NetworkSettings.Networks.front.IPAddress}}',
    'web',
  )
  const fetches = `busybox wget -q -O- http://${address}/cgi-bin/who`
  t.match(await podman.shell('shop', fetches), /^web saw 10\.66\.0\.\d+$/)
  const ports = { web: 8080, db: 8081, shop: 8082 } as const
  for (const name of ['web', ...joined] as (keyof typeof ports)[])
    t.equal(await clientReads(site, ports[name]), `${name} saw ${at.client.v4}`)

  await t.rejects(tsnet.run('network', 'rm', 'front'), /docker network rm [0-9a-f]{12}/)
  await podman.run('rm', '-f', '-t', '0', 'shop')
  if (!hasCni()) await podman.run('network', 'rm', 'front')
  if (lxc !== undefined) await tsnet.run('detach', 'front', 'lxc:db')
  await lxc?.down('db')
  await docker.run('rm', '-f', 'web')
  await docker.run('network', 'rm', 'front')
  if (lxc !== undefined) await host.run('ip', 'link', 'delete', 'dev', 'lxcbr0')
  const theirs = new RegExp(`${PODMANS.source}|${LXCS.source}|/etc/cni/net.d/(10-test|cni.lock)|/run/lock `)
  t.same(
    (await residue(host, before, docker)).filter(line => !theirs.test(line)),
    [],
  )
})

t.test('what docs/docker.md types does what it says', async t => {
  const { site, host, docker, before } = await dockerSite(t)
  const lxc = await Lxc.start(host)
  lxc.create('db', undefined, webServer('db'))
  await lxc.up('db')
  const serves = `CMD ${JSON.stringify(webServer('web'))}`
  await docker.run('import', '--change', serves, await imageOn(host), 'nginx:alpine')
  const [install, ...lines] = readDocument('docs/docker.md').block('tsnet install').split('\n')
  t.equal(install, 'tsnet install --docker', 'which is done')
  const env = { ...NO_DAEMON, TSNET_NAT: 'iptables', PATH: `${dirname(EXECUTABLE)}:${process.env.PATH}` }
  for (const line of lines) await host.run('sh', '-c', line, { env })
  t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`)
  t.equal(await clientReads(site, 8081), `db saw ${at.client.v4}`)
  await host.run('sh', '-c', 'tsnet detach front lxc:db', { env })
  await lxc.down('db')
  await docker.run('rm', '-f', 'web')
  await docker.run('network', 'rm', 'front')
  await host.run('ip', 'link', 'delete', 'dev', 'lxcbr0')
  t.same(
    (await residue(host, before, docker)).filter(line => !LXCS.test(line)),
    [],
  )
})
