/**
 * Whom containers may reach, of real runtimes: what is listed passes, what is not is denied, and who has no list reaches all.
 *
 *     outside 198.51.100.2, 2001:db8:2::2 ports 7000 and 7001 ── wan host ─── containers
 */

import t from 'tap'
import { type Host, snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { Command } from '../support/daemon.ts'
import { dockerSite, OURS, residue } from '../support/docker-network.ts'
import { readNetworkList } from '../support/libcni.ts'
import { Lxc } from '../support/lxc.ts'
import { CONFIGURED, needPlugins, PODMANS, Podman } from '../support/podman.ts'
import { at, ECHO, families, leftovers, siteFor } from '../support/site.ts'

t.setTimeout(900_000)

const OTHER = ECHO + 1
const LISTED = [`${at.outside.v4}:${ECHO}`, `[${at.outside.v6}]:${ECHO}`]

/** Runs a command of busybox's shell in a container. */
type Shell = (command: string) => Promise<string>

/** Who answers it over both families, as `v4 7000`. */
async function reached(shell: Shell): Promise<string[]> {
  const found: string[] = []
  for (const family of families)
    for (const port of [ECHO, OTHER]) {
      const said = await shell(
        `(echo hello; /bin/busybox sleep 1) | /bin/busybox timeout 3 /bin/busybox nc ${at.outside[family]} ${port} || true`,
      )
      if (said.includes('"outside"')) found.push(`${family} ${port}`)
    }
  return found
}

const ALL = families.flatMap(family => [ECHO, OTHER].map(port => `${family} ${port}`))
const SOME = families.map(family => `${family} ${ECHO}`)

t.test('a running lxc container, and a process by its number, join with lists of their own', async t => {
  const { host, outside } = await siteFor(t)
  outside.listen('tcp', OTHER)
  const lxc = await Lxc.start(host)
  for (const name of ['web', 'db', 'shop']) {
    lxc.create(name, undefined, webServer(name))
    await lxc.up(name)
  }
  const command = new Command(host, 'iptables')
  const before = await snapshot(host)
  await command.run('network', 'create', 'front', '--ipv6')
  const pidOf = async (name: string) => (await host.run('lxc-info', '-n', name, '-p', '-H')).stdout.trim()
  const lists = LISTED.flatMap(each => ['--egress', each])
  await command.run('attach', 'front', 'lxc:web', ...lists)
  await command.run('attach', 'front', `pid:${await pidOf('db')}`, ...lists)
  await command.run('attach', 'front', 'lxc:shop')
  const shell =
    (pid: string): Shell =>
    async text =>
      (await host.run('nsenter', '-t', pid, '-n', '/bin/sh', '-c', text)).stdout
  for (const name of ['web', 'db']) t.strictSame(await reached(shell(await pidOf(name))), SOME, name)
  t.strictSame(await reached(shell(await pidOf('shop'))), ALL, 'control: without a list')
  await command.run('egress', 'set', 'lxc:web', LISTED[0] ?? '')
  t.strictSame(await reached(shell(await pidOf('web'))), [`v4 ${ECHO}`], 'and another one while it lives')
  await command.run('detach', 'front', 'lxc:web')
  await command.run('detach', 'front', `pid:${await pidOf('db')}`)
  await command.run('detach', 'front', 'lxc:shop')
  await command.run('network', 'rm', 'front')
  t.strictSame(leftovers(before, await snapshot(host), /lxc|cgroup|^connection host|net\.d appeared/), [])
  for (const name of ['web', 'db', 'shop']) await lxc.down(name)
})

t.test(
  'a network of Docker has a list, one of its containers another, and a third while it lives',
  async t => {
    const { site, host, tsnet, docker, before } = await dockerSite(t)
    site.outside.listen('tcp', OTHER)
    const subnets = (n: number) => ['--ipv6', '--subnet', `10.${n}.0.0/24`, '--subnet', `fd00:${n}::/64`]
    const list = ['-o', `tsnet.egress=${LISTED.join(' ')}`]
    await docker.run('network', 'create', ...OURS, ...subnets(66), ...list, '-o', 'tsnet.name=front', 'front')
    await docker.run('network', 'create', ...OURS, ...subnets(67), '-o', 'tsnet.name=open', 'open')
    const shell =
      (name: string): Shell =>
      text =>
        docker.run('exec', name, '/bin/sh', '-c', text)
    const own = (network: string, entries: string) => `name=${network},driver-opt=tsnet.egress=${entries}`
    await docker.idle('listed', '--network', 'front')
    await docker.idle('open', '--network', 'open')
    await docker.idle('own', '--network', own('open', `${at.outside.v4}:${OTHER}`))
    await docker.idle('denied', '--network', own('front', 'deny'))
    t.strictSame(await reached(shell('listed')), SOME)
    t.strictSame(await reached(shell('open')), ALL, 'control: without a list')
    t.strictSame(await reached(shell('own')), [`v4 ${OTHER}`], 'its own list')
    t.strictSame(await reached(shell('denied')), [])
    await t.rejects(
      docker.idle('odd', '--network', own('front', '192.0.2.7:x')),
      /tsnet\.egress: "192\.0\.2\.7:x" is no address/,
    )
    await t.rejects(
      docker.idle('odder', '--network', 'name=front,driver-opt=tsnet.egres=deny'),
      /tsnet\.egres: .*is no option of a container; there is tsnet\.egress/,
    )
    await tsnet.run('egress', 'set', 'docker:listed', ...LISTED, `${at.outside.v4}:${OTHER}`)
    t.strictSame(await reached(shell('listed')), [...SOME.slice(0, 1), `v4 ${OTHER}`, ...SOME.slice(1)])
    await docker.run('restart', '-t', '0', 'own')
    t.strictSame(
      await reached(shell('own')),
      [`v4 ${OTHER}`],
      'one that is restarted keeps what Docker tells',
    )
    await docker.run('rm', '-f', 'listed', 'open', 'own', 'denied', 'odd', 'odder')
    await docker.run('network', 'rm', 'front', 'open')
    t.same(await residue(host, before, docker), [])
  },
)

/** What the kernel tracks of connections that have ended. */
const isTracked = (line: string): boolean => /^connection host /.test(line)

const leftOf = async (host: Host, before: Awaited<ReturnType<typeof snapshot>>): Promise<string[]> =>
  leftovers(before, await snapshot(host), PODMANS).filter(line => !isTracked(line))

needPlugins(() => {
  t.test('a network of podman has a list', async t => {
    const { host, outside } = await siteFor(t)
    outside.listen('tcp', OTHER)
    const podman = await Podman.start(host, readNetworkList('ports'))
    await podman.run('container', 'ls') // makes what podman keeps for itself
    const tsnet = new Command(host, 'iptables', CONFIGURED)
    const before = await snapshot(host)
    const list = ['-o', `tsnet.egress=${LISTED.join(' ')}`]
    await podman.run('network', 'create', '-d', 'tsnet', '--ipv6', ...list, 'front')
    await podman.run('network', 'create', '-d', 'tsnet', '--ipv6', 'open')
    const idle = ['/bin/busybox', 'sleep', '1000']
    await podman.container('listed', ['--network', 'front'], ...idle)
    await podman.container('open', ['--network', 'open'], ...idle)
    const shell =
      (name: string): Shell =>
      text =>
        podman.shell(name, text)
    t.strictSame(await reached(shell('listed')), SOME)
    t.strictSame(await reached(shell('open')), ALL, 'control: without a list')
    await tsnet.run('egress', 'set', 'listed', '--deny')
    t.strictSame(await reached(shell('listed')), [])
    await podman.run('rm', '-f', '-t', '0', 'listed', 'open')
    await podman.run('network', 'rm', 'front', 'open')
    await tsnet.run('network', 'rm', 'front', 'open')
    t.strictSame(await leftOf(host, before), [])
  })
})
