/** Installing into a folder that stands for a host, and taking everything away again. */

import { readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { commandHere, serviceItems } from '../../src/install/init-system.ts'
import { type Item, install, planItems, Surroundings, uninstall } from '../../src/install/install.ts'
import { facts, hostWith, Troubled, treeOf, wishes } from '../support/installing.ts'

const units = {
  service: '[Service]\nExecStart=tsnet daemon\n',
  socket: '[Socket]\nListenStream=/run/tsnet/control.sock\n',
}

const itemsIn = (root: string, more = {}): Item[] => [
  ...planItems({ ...wishes, ...more }, facts),
  ...serviceItems(
    'systemd',
    { executable: facts.executable, units, enable: true, docker: true, running: false },
    new Surroundings(root),
  ),
]

/** What systemd leaves on a host that it runs. */
const BOOTED = { '/run/systemd/system/x': '' }

/** What a host may have already; of docker's settings not all is said. */
const before = {
  '/opt/cni/bin/bridge': 'the reference plugin \u00ff',
  '/opt/cni/bin/portmap': 'another one',
  '/usr/local/share/man/man1/tsnet.1': 'not ours',
  '/etc/docker/daemon.json': '{\n\t"debug": true,\n\t"data-root": "/srv/\u00e9"\n}',
  '/usr/local/share/man/man1/other.1': '',
  '/var/lib/other': '',
}

const said: string[] = []
const doing = { dryRun: false, say: (line: string) => void said.push(line) }

t.test('everything is put where it is looked for, and taken away without a trace', async t => {
  const root = hostWith(t, BOOTED)
  const earlier = treeOf(root)
  const around = new Troubled(root)
  said.length = 0
  const count = await install(itemsIn(root), around, doing)
  const tree = treeOf(root)
  for (const path of ['opt/cni/bin/tsnet', 'opt/cni/bin/bridge', 'usr/local/bin/tsnet'])
    t.equal(tree[path], `-> ${facts.executable}`)
  t.equal(tree['usr/local/libexec/tsnet/docker-proxy'], `-> ${facts.executable}`)
  t.equal(tree['usr/local/libexec/netavark/tsnet'], `-> ${facts.executable}`)
  t.notOk('opt/cni/bin/portmap' in tree)
  t.equal(tree['etc/cni/net.d/10-tsnet.conflist'], `644 ${facts.conflist}`)
  t.match(tree['etc/systemd/system/tsnetd.service'], /ExecStart=\/srv\/tsnet\/dist\/bin\/tsnet daemon/)
  t.equal(
    tree['etc/docker/daemon.json'],
    '644 {\n  "userland-proxy-path": "/usr/local/libexec/tsnet/docker-proxy"\n}\n',
  )
  t.equal(tree['etc/docker/plugins/tsnet.spec'], '644 unix:///run/tsnet/docker.sock\n')
  t.match(
    tree['etc/systemd/system/docker.service.d/tsnet.conf'],
    /^644 \[Unit\]\nWants=tsnetd\.service\nAfter=tsnetd\.service\n$/,
  )
  t.match(tree['usr/local/share/man/man1/tsnet-publish.1'], /\.TH TSNET\\-PUBLISH 1 /)
  t.same(around.ran, [
    'systemctl show --property=Version',
    'systemctl daemon-reload',
    'systemctl enable --now tsnetd.socket',
  ])
  t.equal(said.length, count - 1, 'each step is said; one is for the way back alone')
  around.ran.length = 0
  await uninstall(around, doing)
  t.same(treeOf(root), earlier)
  t.same(around.ran, ['systemctl disable --now tsnetd.service tsnetd.socket', 'systemctl daemon-reload'])
})

t.test('what was there before is kept, and comes back byte by byte', async t => {
  const root = hostWith(t, before)
  symlinkSync('../lib/tsnet', join(hostDir(root, '/usr/local/bin'), 'tsnet'))
  const earlier = treeOf(root)
  const around = new Troubled(root)
  await install(itemsIn(root), around, doing)
  const tree = treeOf(root)
  t.equal(tree['opt/cni/bin/bridge.before-tsnet'], earlier['opt/cni/bin/bridge'])
  t.equal(tree['opt/cni/bin/portmap'], earlier['opt/cni/bin/portmap'])
  t.equal(
    tree['etc/docker/daemon.json'],
    '751 {\n\t"debug": true,\n\t"data-root": "/srv/\u00c3\u00a9",\n\t"userland-proxy-path": "/usr/local/libexec/tsnet/docker-proxy"\n}',
  )
  await uninstall(around, doing)
  t.same(treeOf(root), earlier)
})

function hostDir(root: string, path: string): string {
  const around = new Surroundings(root)
  for (const folder of around.missingFolders(`${path}/x`)) around.makeFolder(folder)
  return join(root, path)
}

t.test('twice changes nothing, and more can be added', async t => {
  const root = hostWith(t, before)
  const earlier = treeOf(root)
  const around = new Troubled(root)
  await install(itemsIn(root), around, doing)
  const first = treeOf(root)
  const { changes } = around
  t.equal(await install(itemsIn(root), around, doing), 0)
  t.equal(around.changes, changes)
  t.same(treeOf(root), first)
  await install(itemsIn(root, { as: 'all' }), around, doing)
  t.equal(treeOf(root)['opt/cni/bin/portmap'], `-> ${facts.executable}`)
  await uninstall(around, doing)
  t.same(treeOf(root), earlier)
  t.equal(await uninstall(around, doing), 0)
})

t.test('another version takes the place of the last one', async t => {
  const root = hostWith(t, before)
  const earlier = treeOf(root)
  const around = new Troubled(root)
  await install(itemsIn(root), around, doing)
  const moved = { ...facts, executable: '/opt/tsnet/bin/tsnet', version: '2.0.0' }
  await install(planItems(wishes, moved), around, doing)
  const tree = treeOf(root)
  t.equal(tree['opt/cni/bin/bridge'], '-> /opt/tsnet/bin/tsnet')
  t.equal(tree['opt/cni/bin/bridge.before-tsnet'], earlier['opt/cni/bin/bridge'])
  t.match(tree['usr/local/share/man/man1/tsnet.1'], /tsnet 2\.0\.0/)
  await uninstall(around, doing)
  t.same(treeOf(root), earlier)
})

t.test("what others have set in docker's settings meanwhile outlives another version and us", async t => {
  const root = hostWith(t, { '/etc/docker/daemon.json': '{\n  "userland-proxy-path": "/old"\n}\n' })
  const around = new Troubled(root)
  await install(itemsIn(root), around, doing)
  const settings = join(root, 'etc/docker/daemon.json')
  writeFileSync(settings, readFileSync(settings, 'utf8').replace('{', '{\n  "debug": true,'))
  await install(itemsIn(root, { prefix: '/opt/tsnet' }), around, doing)
  t.match(readFileSync(settings, 'utf8'), '/opt/tsnet/libexec/tsnet/docker-proxy')
  await uninstall(around, doing)
  t.same(JSON.parse(readFileSync(settings, 'utf8')), { debug: true, 'userland-proxy-path': '/old' })
})

t.test('a step that fails takes back those before it, whichever it is', async t => {
  let steps = 0
  for (let failsAt = 1; ; failsAt++) {
    const root = hostWith(t, before)
    const earlier = treeOf(root)
    const around = new Troubled(root, failsAt)
    const failed = await install(itemsIn(root), around, doing).then(
      () => false,
      () => true,
    )
    if (!failed) break
    steps++
    t.same(treeOf(root), earlier, `change ${failsAt}`)
  }
  t.ok(steps > 20, `${steps} places`)
})

t.test('killed anywhere, it is taken back or finished by who comes next', async t => {
  for (let diesAt = 1; diesAt < 40; diesAt++) {
    const root = hostWith(t, before)
    const earlier = treeOf(root)
    await install(itemsIn(root), new Troubled(root, diesAt, { dies: true }), doing).catch(() => {})
    if (diesAt % 2 === 0) await install(itemsIn(root), new Troubled(root), doing)
    await uninstall(new Troubled(root), doing)
    t.same(treeOf(root), earlier, `change ${diesAt}`)
  }
})

t.test('an uninstall that fails somewhere does the rest, and the next one all', async t => {
  const root = hostWith(t, before)
  const earlier = treeOf(root)
  await install(itemsIn(root), new Troubled(root), doing)
  const left = Object.keys(treeOf(root)).length
  await t.rejects(uninstall(new Troubled(root, 5), doing), /change 5 fails/)
  t.ok(Object.keys(treeOf(root)).length < left / 1.3)
  await uninstall(new Troubled(root), doing)
  t.same(treeOf(root), earlier)
})

t.test('what somebody changed afterwards is left, and said', async t => {
  const root = hostWith(t, before)
  const around = new Troubled(root)
  await install(itemsIn(root), around, doing)
  const page = join(root, 'usr/local/share/man/man1/tsnet.1')
  writeFileSync(page, 'mine now')
  const settings = join(root, 'etc/docker/daemon.json')
  const changed = readFileSync(settings, 'latin1').replace('true', 'false')
  writeFileSync(settings, changed, 'latin1')
  said.length = 0
  t.equal(await install(itemsIn(root), around, doing), 0)
  t.match(said, [/^leave \/usr\/local\/share\/man\/man1\/tsnet\.1: it was changed/])
  said.length = 0
  await uninstall(around, doing)
  t.ok(said.some(line => /^leave .*tsnet\.1.*before-tsnet is what was there before/.test(line)))
  t.equal(readFileSync(page, 'utf8'), 'mine now')
  t.equal(readFileSync(settings, 'latin1'), '{\n\t"debug": false,\n\t"data-root": "/srv/\u00c3\u00a9"\n}')
})

t.test('what somebody copied by hand is used as it is, and outlives us', async t => {
  const root = hostWith(t, {
    '/etc/cni/net.d/10-tsnet.conflist': '{"name":"tsnet","mine":true}',
    '/etc/systemd/system/tsnetd.service': '[Service]\nExecStart=/srv/mine daemon\n',
    '/srv/tsnet/dist/bin/tsnet': '',
  })
  const executable = join(root, 'srv/tsnet/dist/bin/tsnet')
  const ours = { ...facts, executable }
  // By way of another link, as `ln -s "$PWD/…"` in a folder that is one.
  symlinkSync(join(root, 'srv'), join(root, 'way'))
  const links = ['/opt/cni/bin', '/usr/local/bin'].map(folder => join(hostDir(root, folder), 'tsnet'))
  for (const link of links) symlinkSync(join(root, 'way/tsnet/dist/bin/tsnet'), link)
  const earlier = treeOf(root)
  const around = new Troubled(root)
  const items = [...planItems(wishes, ours), ...itemsIn(root).filter(item => item.kind === 'file')]
  said.length = 0
  await install(items, around, doing)
  for (const [path, holds] of Object.entries(earlier)) t.equal(treeOf(root)[path], holds, path)
  for (const name of ['10-tsnet.conflist', 'tsnetd.service'])
    t.ok(
      said.some(line => line.startsWith('leave ') && line.includes(`${name}: it was there before`)),
      name,
    )
  await uninstall(around, doing)
  t.same(treeOf(root), earlier)
})

t.test('where systemd does not run, the daemon is enabled for the next start', async t => {
  const root = hostWith(t)
  const around = new Troubled(root)
  await install(itemsIn(root), around, doing)
  t.same(around.ran, ['systemctl enable tsnetd.socket'])
  t.equal(await install(itemsIn(root), around, doing), 0)
  around.ran.length = 0
  await uninstall(around, doing)
  t.same(around.ran, ['systemctl disable tsnetd.service tsnetd.socket'])
  t.same(treeOf(root), {})
})

t.test('what a command of an init system amounts to where that does not run', async t => {
  const chroot = new Surroundings(hostWith(t))
  const booted = new Surroundings(hostWith(t, { ...BOOTED, '/run/openrc/softlevel': '' }))
  for (const [words, there] of [
    ['systemctl daemon-reload', ''],
    ['systemctl enable --now tsnetd.socket', 'systemctl enable tsnetd.socket'],
    ['rc-service tsnetd start', ''],
    ['rc-update add tsnetd default', 'rc-update add tsnetd default'],
    ['/etc/init.d/tsnetd start', '/etc/init.d/tsnetd start'],
  ] as const) {
    t.equal(commandHere(words.split(' '), chroot).join(' '), there)
    t.equal(commandHere(words.split(' '), booted).join(' '), words)
  }
})

t.test('what systemd would refuse, a dry run refuses as well', async t => {
  const root = hostWith(t, BOOTED)
  const earlier = treeOf(root)
  for (const [around, error] of [
    [
      new (class extends Troubled {
        override finds = () => false
      })(root),
      { code: 'missing', message: /there is no systemctl/ },
    ],
    [new Troubled(root, 1), { message: 'change 1 fails' }],
  ] as const) {
    for (const dryRun of [true, false]) {
      around.changes = 0
      await t.rejects(install(itemsIn(root), around, { ...doing, dryRun }), error)
      t.same(treeOf(root), earlier)
    }
  }
})

t.test('a dry run says what would be done, and does none of it', async t => {
  const root = hostWith(t, before)
  const earlier = treeOf(root)
  const lines = async (dryRun: boolean, work: typeof uninstall) => {
    const heard: string[] = []
    await work(new Troubled(root), { dryRun, say: line => void heard.push(line) })
    return heard
  }
  const adding: typeof uninstall = (around, how) => install(itemsIn(root), around, how)
  const dry = await lines(true, adding)
  t.same(treeOf(root), earlier)
  t.same(await lines(false, adding), dry)
  t.ok(
    dry.includes(
      'link /opt/cni/bin/bridge -> /srv/tsnet/dist/bin/tsnet, keeping what is there as /opt/cni/bin/bridge.before-tsnet',
    ),
  )
  const installed = treeOf(root)
  const away = await lines(true, uninstall)
  t.same(treeOf(root), installed)
  t.same(await lines(false, uninstall), away)
})

t.test('what cannot be done is refused before anything is changed', async t => {
  for (const [files, more, error] of [
    [
      { '/etc/docker/daemon.json': '{ nonsense' },
      {},
      { code: 'decode', message: /daemon\.json is not JSON.*not touched/ },
    ],
    [{ '/etc/docker/daemon.json': '[1]' }, {}, { code: 'decode', message: /does not hold a JSON object/ }],
    [{ '/opt/cni/bin': 'a file' }, {}, { code: 'io', message: /\/opt\/cni\/bin\/tsnet cannot be written/ }],
    [
      { '/opt/cni/bin/tsnet/x': '' },
      {},
      { code: 'conflict', message: /\/opt\/cni\/bin\/tsnet is there and no file/ },
    ],
    [
      { '/var/lib/tsnet/install.json': 'no' },
      {},
      { code: 'decode', message: /install\.json cannot be read/ },
    ],
    [{}, { as: 'bridge,brigde' }, { code: 'invalid-environment', message: /--as: "brigde" is no plugin/ }],
    [{}, { as: 'tsnet' }, { code: 'invalid-environment', message: /--as: "tsnet"/ }],
    [
      {},
      { binDir: 'bin' },
      { code: 'invalid-environment', message: /--bin-dir: "bin" is not an absolute path/ },
    ],
  ] as const) {
    const root = hostWith(t, files as unknown as Record<string, string>)
    const earlier = treeOf(root)
    await t.rejects(async () => install(itemsIn(root, more), new Troubled(root), doing), error)
    t.same(treeOf(root), earlier)
  }
})

t.test("docker's settings behind a link stay behind it", async t => {
  const root = hostWith(t, { '/srv/daemon.json': '{"a":1}' })
  symlinkSync(join(root, 'srv/daemon.json'), join(hostDir(root, '/etc/docker'), 'daemon.json'))
  const around = new Troubled(root)
  await install(itemsIn(root), around, doing)
  t.ok(readlinkSync(join(root, 'etc/docker/daemon.json')))
  t.equal(
    readFileSync(join(root, 'srv/daemon.json'), 'utf8'),
    '{"a":1,"userland-proxy-path":"/usr/local/libexec/tsnet/docker-proxy"}',
  )
  await uninstall(around, doing)
  t.equal(readFileSync(join(root, 'srv/daemon.json'), 'utf8'), '{"a":1}')
  rmSync(join(root, 'srv'), { recursive: true })
  symlinkSync('/etc/hostname', join(root, 'srv'))
  await t.rejects(install(itemsIn(root), around, doing), { code: 'io' }, 'a link that leads nowhere')
  rmSync(join(root, 'etc/docker/daemon.json'))
  symlinkSync('/etc/passwd', join(root, 'etc/docker/daemon.json'))
  await t.rejects(install(itemsIn(root), around, doing), { code: 'invalid-config' }, 'one that leads out')
})
