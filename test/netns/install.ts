/**
 * What is installed works: the init script serves, dockerd finds our docker-proxy, runtimes find the plugin.
 */

import { existsSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Host, lab, waitFor } from 'tsnet/lab'
import { EXECUTABLE } from '../support/daemon.ts'
import { treeOf } from '../support/installing.ts'
import { withNetworks } from '../support/networks.ts'

const ROOT = '/srv/root'

async function open(t: Test): Promise<Host> {
  const world = await lab()
  t.teardown(() => world.end())
  const host = await world.host('host')
  await host.tmpfs('/srv', '/var/log')
  await host.run('mkdir', ROOT)
  return host
}

const tsnet = (host: Host, ...words: string[]) =>
  host.run(EXECUTABLE, ...words, '--root', ROOT, { mayFail: true })

t.test("the script of System V's init starts the daemon, asks it, and ends it", async t => {
  const host = await open(t)
  t.equal((await tsnet(host, 'install', '--init', 'sysv')).code, 0)
  const script = (word: string) =>
    host.run(`${ROOT}/etc/init.d/tsnetd`, word, { mayFail: true, env: { TSNET_NAT: 'iptables' } })
  const daemons = () => host.processes().filter(({ command }) => command.includes('tsnet daemon'))
  t.match(await script('status'), { code: 3 })
  const up = () =>
    waitFor(
      async () => (await host.run(EXECUTABLE, 'ports', '--json')).stdout === '[]\n' && daemons().length === 1,
      {
        what: 'the daemon',
      },
    )
  t.match(await script('start'), { code: 0 })
  await up()
  t.match(await script('start'), { code: 0 }, 'it runs already')
  t.match(await script('status'), { code: 0, stdout: 'tsnetd runs\n' })
  const [first] = daemons()
  await waitFor(() => readFileSync(host.path('/var/log/tsnetd.log'), 'utf8').includes('ready'), {
    what: 'the log',
  })
  t.match(await script('reload'), { code: 0 })
  t.match(await script('restart'), { code: 0 })
  await up()
  t.notSame(daemons(), [first])
  t.match(await script('stop'), { code: 0 })
  t.same(daemons(), [])
  t.match(await script('stop'), { code: 0 }, 'it does not run')
  t.match(await script('quit'), { code: 2, stderr: /^usage: / })
  t.equal((await tsnet(host, 'uninstall')).code, 0)
  t.same(treeOf(host.path(ROOT)), {})
})

t.test('a runtime finds the plugin and the drop-ins, a person the command', async t => {
  const host = await open(t)
  await tsnet(host, 'install', '--as', 'all', '--init', 'none')
  const list = JSON.parse(readFileSync(host.path(`${ROOT}/etc/cni/net.d/10-tsnet.conflist`), 'utf8'))
  const web = await host.namespace('web')
  const call = (command: string) =>
    host.run(`${ROOT}/opt/cni/bin/${list.plugins[0].type}`, {
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: 'web',
        CNI_NETNS: web.path,
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/',
      },
      stdin: JSON.stringify({ cniVersion: list.cniVersion, name: list.name, ...list.plugins[0] }),
    })
  t.match(JSON.parse((await call('ADD')).stdout), {
    ips: [{ address: '10.77.2.2/24' }, { address: 'fd00:77:2::2/64' }],
  })
  await call('DEL')
  const dropIn = await host.run(`${ROOT}/opt/cni/bin/portmap`, {
    env: { CNI_COMMAND: 'VERSION' },
    stdin: '{"cniVersion":"1.0.0"}',
  })
  t.match(JSON.parse(dropIn.stdout), { supportedVersions: /1\.0\.0/ })
  t.equal((await host.run(`${ROOT}/usr/local/bin/tsnet`, 'ports', '--json')).stdout, '[]\n')
})

t.test('what README has people copy is what is installed: a second time there is nothing to do', async t => {
  const host = await open(t)
  const [bin, conf] = [`${ROOT}/opt/cni/bin`, `${ROOT}/etc/cni/net.d`]
  await host.run('mkdir', '-p', bin, conf)
  await host.run('ln', '-s', EXECUTABLE, `${bin}/tsnet`)
  await host.run('cp', 'conf/ports.conflist', `${conf}/10-tsnet.conflist`, { cwd: process.cwd() })
  const before = treeOf(host.path(ROOT))
  const { stdout } = await tsnet(host, 'install', '--init', 'none')
  t.notMatch(stdout, /opt\/cni|10-tsnet/)
  await tsnet(host, 'uninstall')
  t.same(treeOf(host.path(ROOT)), before)
  await host.run('mv', `${conf}/10-tsnet.conflist`, `${conf}/20-mine.conflist`)
  const named = await tsnet(host, 'install', '--init', 'none')
  t.match(named.stdout, '20-mine.conflist: it is network ports already; no other is added')
  t.notOk('etc/cni/net.d/10-tsnet.conflist' in treeOf(host.path(ROOT)))
  await tsnet(host, 'uninstall')
})

t.test('containerd finds the plugin for pods where its configuration says', async t => {
  const host = await open(t)
  await host.run('mkdir', '-p', `${ROOT}/etc/containerd`, `${ROOT}/usr/lib/cni`)
  const config = "[plugins.'io.containerd.grpc.v1.cri'.cni]\nbin_dir = '/usr/lib/cni'\n"
  writeFileSync(host.path(`${ROOT}/etc/containerd/config.toml`), config)
  await tsnet(host, 'install', '--init', 'none')
  for (const folder of ['/opt/cni/bin', '/usr/lib/cni'])
    t.equal(readlinkSync(host.path(`${ROOT}${folder}/tsnet`)), EXECUTABLE)
  await tsnet(host, 'uninstall')
  t.same(Object.keys(treeOf(host.path(`${ROOT}/usr`))), ['lib', 'lib/cni'])
})

t.test(
  'systemd that is installed and does not run: units and the start with the host, and no error',
  async t => {
    const host = await open(t)
    await host.tmpfs('/opt', '/usr/local', '/etc/containerd', '/etc/systemd/system', '/var/lib/tsnet')
    const folders = ['/opt', '/usr/local', '/etc/systemd/system', '/var/lib/tsnet', '/etc/cni']
    const holds = () => folders.map(folder => treeOf(host.path(folder)))
    const before = holds()
    const install = (...words: string[]) => host.run(EXECUTABLE, 'install', '--init', 'systemd', ...words)
    const dry = await install('--dry-run')
    t.match(dry.stdout, 'systemd does not run here')
    t.same(holds(), before)
    t.equal((await install()).stdout, dry.stdout)
    t.match(
      treeOf(host.path('/etc/systemd/system'))['sockets.target.wants/tsnetd.socket'],
      /^-> .*tsnetd\.socket$/,
    )
    await host.run(EXECUTABLE, 'uninstall')
    const left = holds()
    // Made by systemctl, which leaves it.
    delete left[2]?.['sockets.target.wants']
    t.same(left.slice(0, 3), before.slice(0, 3))
  },
)

t.test('a systemd that does not answer: a dry run fails as the real one does', async t => {
  const host = await open(t)
  await host.tmpfs('/opt', '/usr/local', '/etc/containerd', '/etc/systemd/system', '/var/lib/tsnet')
  await host.run('mkdir', '-p', '/run/systemd/system')
  const before = treeOf(host.path('/opt'))
  for (const words of [['--dry-run'], []]) {
    const refused = await host.run(EXECUTABLE, 'install', ...words, { mayFail: true })
    t.match(refused, { code: 1, stderr: /^tsnet: systemctl show --property=Version failed: / })
    t.same(treeOf(host.path('/opt')), before)
  }
})

t.test('a folder that cannot be written to: a clear error, and nothing half installed', async t => {
  const host = await open(t)
  await host.run('mkdir', '-p', `${ROOT}/opt/cni/bin`)
  await host.run('mount', '-t', 'tmpfs', '-o', 'ro', 'none', `${ROOT}/opt/cni/bin`)
  writeFileSync(host.path('/srv/daemon.json'), 'not JSON')
  const before = treeOf(host.path(ROOT))
  const { code, stdout } = await tsnet(host, 'install', '--json')
  t.equal(code, 1)
  const message = /\/opt\/cni\/bin\/tsnet cannot be written: EROFS: .*; nothing was changed/
  t.match(JSON.parse(stdout), { error: { code: 'io', message } })
  t.same(treeOf(host.path(ROOT)), before)
  const wrong = await tsnet(host, 'install', '--bin-dir', '/other', '--init', 'runit')
  t.match(wrong, { code: 2, stderr: /--init: "runit" is not auto, systemd, openrc, sysv, none/ })
  t.same(treeOf(host.path(ROOT)), before)
})

t.test("System V's init runs it from then on, and no longer after", async t => {
  const host = await open(t)
  await host.tmpfs('/opt', '/usr/local', '/etc/containerd', '/etc/init.d', '/var/lib/tsnet')
  await host.run('mkdir', '/srv/bin')
  writeFileSync(host.path('/srv/bin/update-rc.d'), '#!/bin/sh\necho "$*" >>/srv/asked\n', { mode: 0o755 })
  const env = { PATH: `/srv/bin:${process.env.PATH}`, TSNET_NAT: 'iptables' }
  const daemons = () => host.processes().filter(({ command }) => command.includes('tsnet daemon'))
  await host.run(EXECUTABLE, 'install', '--init', 'sysv', { env })
  await waitFor(() => readFileSync(host.path('/var/log/tsnetd.log'), 'utf8').includes('ready'), {
    what: 'the daemon',
  })
  t.equal(daemons().length, 1)
  t.match((await host.run(EXECUTABLE, 'install', '--init', 'sysv', { env })).stdout, /^nothing to do/)
  await host.run(EXECUTABLE, 'uninstall', { env })
  t.same(daemons(), [])
  const asked = readFileSync(host.path('/srv/asked'), 'utf8')
  const registered = existsSync('/usr/sbin/update-rc.d') ? 'tsnetd defaults\n-f tsnetd remove\n' : ''
  t.equal(asked, registered)
  for (const folder of ['/opt', '/usr/local', '/etc/init.d']) t.same(treeOf(host.path(folder)), {})
})

t.test('an init system that refuses takes everything back; one that does not hears of both ends', async t => {
  const host = await open(t)
  await host.tmpfs('/opt', '/usr/local', '/etc/containerd', '/etc/systemd/system', '/var/lib/tsnet')
  const folders = ['/opt', '/usr/local', '/etc/systemd/system', '/var/lib/tsnet', '/etc/cni']
  const holds = () => folders.map(folder => treeOf(host.path(folder)))
  const before = holds()
  await host.run('mkdir', '-p', '/run/systemd/system', '/srv/bin')
  const systemctl = (refuses: string) =>
    writeFileSync(
      host.path('/srv/bin/systemctl'),
      `#!/bin/sh\necho "$*" >>/srv/asked\ncase "$*" in ${refuses}) echo "no bus" >&2; exit 1 ;; esac\n`,
      { mode: 0o755 },
    )
  const env = { PATH: `/srv/bin:${process.env.PATH}` }
  const asked = () => readFileSync(host.path('/srv/asked'), 'utf8').trim().split('\n')
  systemctl('enable*')
  const refused = await host.run(EXECUTABLE, 'install', { env, mayFail: true })
  t.match(refused, { code: 1, stderr: /systemctl enable --now tsnetd\.socket failed: no bus/ })
  t.same(holds(), before)
  systemctl('never')
  await host.run(EXECUTABLE, 'install', { env })
  t.match(treeOf(host.path('/etc/systemd/system')), { 'tsnetd.service': `ExecStart=${EXECUTABLE} daemon` })
  t.match((await host.run(EXECUTABLE, 'install', { env })).stdout, /^nothing to do/)
  await host.run(EXECUTABLE, 'uninstall', { env })
  t.same(asked().slice(-4), [
    'daemon-reload',
    'enable --now tsnetd.socket',
    'disable --now tsnetd.service tsnetd.socket',
    'daemon-reload',
  ])
  t.same(holds().slice(0, -2), before.slice(0, -2))
})

t.test('what people made stays when it is uninstalled, and is named with what takes it away', async t => {
  const stage = await withNetworks(t, 'nftables', 'web')
  const { scene, tsnet, network, leave } = stage
  const { host } = scene
  await host.tmpfs('/opt', '/usr/local', '/etc/containerd', '/etc/systemd/system', '/var/lib/tsnet')
  await tsnet.run('install', '--init', 'none')
  await network('create', 'front')
  await tsnet.run('attach', 'front', 'netns:web')
  const daemon = await tsnet.daemon()
  await tsnet.run('publish', '8080:80', 'netns:web')
  await tsnet.run('publish', '--keep', '8081:80', 'netns:web')
  await daemon.stop('SIGTERM')
  const left = [
    'leave web on networks: who ends them needs the plugin; tsnet detach takes them off',
    'leave *:8080/tcp of netns:web: what rules lead there goes on; tsnet unpublish --all ends it',
    'leave *:8081/tcp of netns:web: it is kept for the next daemon; tsnet unpublish --all forgets it',
    'leave /etc/cni/net.d/90-front.conflist: network front, made by hand; tsnet network rm front removes it',
  ]
  const leaves = ({ stdout }: { stdout: string }) =>
    stdout.split('\n').filter(each => each.startsWith('leave '))
  t.same(leaves(await tsnet.run('uninstall', '--dry-run')), left)
  t.same(leaves(await tsnet.run('uninstall')), left)
  // As it says.
  await tsnet.daemon()
  await tsnet.run('unpublish', '--all')
  await leave('front', 'web')
  await network('rm', 'front')
  t.match((await tsnet.run('uninstall')).stdout, /^nothing to do: nothing is installed\n$/)
})
