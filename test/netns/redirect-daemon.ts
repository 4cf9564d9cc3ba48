/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web, api
 *
 * The daemon redirects clients of loopback: what is redirected, who says so, and what is left of it when something ends.
 */

import { existsSync, mkdirSync, openSync, rmdirSync } from 'node:fs'
import t from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import { attr, bpf } from '../../src/bpf/bpf.ts'
import { BPF_CGROUP_INET4_CONNECT } from '../../src/bpf/cgroup.ts'
import { exit, movImm, R0 } from '../../src/bpf/instructions.ts'
import { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, loadProgram } from '../../src/bpf/program.ts'
import { Fd } from '../../src/ffi/fd.ts'
import { Command, EXECUTABLE, REDIRECT_ON, type withDaemon } from '../support/daemon.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const refused = { code: 'ECONNREFUSED' }

/** The system's, which everybody may run. */
const PYTHON = '/usr/bin/python3'

/** Says something on one connection again and again, and what comes back and from whom; in the end, why it ended. */
const TALK = `
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
f = s.makefile('rw')
try:
  while True:
    f.write('word\\n'); f.flush()
    print('answer' if 'word' in f.readline() else 'end', s.getpeername()[:2], flush=True)
    time.sleep(0.05)
except OSError as e: print('ended:', e, flush=True)
`
async function talk(scene: Scene, address: string, port: number): Promise<Running> {
  const talking = scene.host.start('python3', '-c', TALK, address, String(port))
  await goesOn(talking)
  return talking
}

/** Something more is answered. */
async function goesOn(talking: Running): Promise<string> {
  const before = talking.stdout.length
  await waitFor(() => talking.stdout.includes('answer', before), { what: 'an answer' })
  return talking.stdout.slice(before)
}

const ends = (talking: Running) =>
  waitFor(() => talking.stdout.includes('ended:'), { what: 'the connection to end' })

async function open(t: Parameters<typeof withDaemon>[0], ...containers: string[]) {
  const scene = await Scene.open('iptables', ...containers)
  t.teardown(() => scene.close())
  const network = scene.network('front', 10)
  for (const name of containers) await network.add(scene.get(name))
  const tsnet = new Command(scene.host, 'iptables')
  return { scene, network, tsnet }
}

t.test('what needs the proxy is refused with --mode redirect, and served by it with the setting', async t => {
  const { scene, tsnet } = await open(t, 'web', 'api')
  await tsnet.daemon(...REDIRECT_ON)
  for (const [words, told] of [
    [['--allow', '10.0.0.0/8', '8080:80', 'web'], /--mode redirect: --allow and --deny need the proxy/],
    [['--max-connections', '5', '8080:80', 'web'], /--max-connections/],
    [['--wait', '1s', '8080:80', 'web'], /--wait/],
    [['--via', 'netns', '8080:80', 'web'], /inside a namespace/],
    [['8080:80/udp', 'web'], /only TCP/],
    [['192.168.50.1:8080:80', 'web'], /192\.168\.50\.1 is no address of loopback/],
    [['8080:80', 'web,api'], /several containers/],
  ] as const) {
    const { code, stderr } = await tsnet.try('publish', '--mode', 'redirect', ...words)
    t.equal(code, 2, words.join(' '))
    t.match(stderr, told)
  }
  await tsnet.run('publish', '--max-connections', '5', '8080:80', 'web')
  await tsnet.run('publish', '8081:80', 'web')
  await tsnet.run('publish', '--mode', 'proxy', '8082:80', 'web')
  for (const port of [8080, 8081, 8082]) t.equal((await scene.host.ask('tcp', '::1', port)).place, 'web')
  const listed = JSON.parse((await tsnet.run('ports', '--json')).stdout)
  t.match(listed, [
    { hostPort: 8080, by: ['proxy'], counters: { accepted: 1 }, redirected: undefined },
    {
      hostPort: 8081,
      by: ['iptables', 'redirect', 'proxy'],
      counters: { accepted: 0 },
      redirected: { connections: 1, uncounted: ['active', 'failed', 'bytesIn', 'bytesOut'] },
    },
    { hostPort: 8082, by: ['proxy'], counters: { accepted: 1 }, redirected: undefined },
  ])
})

t.test('without the setting nothing is redirected, and no program is there', async t => {
  const { scene } = await open(t, 'web')
  const tsnet = new Command(scene.host, 'iptables', {}, 'off')
  await tsnet.daemon()
  await tsnet.run('publish', '8080:80', 'web')
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  const [port] = await tsnet.ports()
  t.equal(port?.counters?.accepted, 1)
  t.equal(port?.redirected, undefined)
})

t.test('unpublished, a port is refused and its connections end; with --drain they may finish', async t => {
  const { scene, tsnet } = await open(t, 'web')
  await tsnet.daemon(...REDIRECT_ON)
  await tsnet.run('publish', '8080:80', 'web')
  const first = await talk(scene, '127.0.0.1', 8080)
  await tsnet.run('unpublish', '8080')
  await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8080), refused)
  await ends(first)
  t.match(first.stdout, /Software caused connection abort|Broken pipe/)

  await tsnet.run('publish', '--drain', '1m', '8080:80', 'web')
  const second = await talk(scene, '::1', 8080)
  const ended = tsnet.run('unpublish', '8080')
  const isRefused = () =>
    scene.host.ask('tcp', '::1', 8080).then(
      () => false,
      () => true,
    )
  await waitFor(isRefused, { what: 'new clients to be refused' })
  t.match(await goesOn(second), /'::1', 8080/, 'it may finish')
  await second.stop()
  await ended
})

t.test("a port of CNI is redirected, and goes before the container's address does", async t => {
  const { scene, network, tsnet } = await open(t)
  const daemon = await tsnet.daemon(...REDIRECT_ON)
  const web = await scene.container('web')
  const runtimeConfig = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] }
  await network.add(web, { config: { runtimeConfig } })
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).peer, '10.10.0.1')
  const listed = JSON.parse((await tsnet.run('ports', '--all', '--json')).stdout)
  t.match(listed, [{ source: 'cni', by: ['iptables', 'redirect', 'proxy'], redirected: { connections: 1 } }])
  const talking = await talk(scene, '127.0.0.1', 8080)
  await network.delete(web)
  await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8080), refused)
  await ends(talking)
  t.match(talking.stdout, /Software caused connection abort/)
  t.match(await daemon.stop(), { code: 0 })
})

t.test('a container that is gone leads nowhere, and its connections have ended', async t => {
  const { scene, tsnet } = await open(t, 'web')
  await tsnet.daemon(...REDIRECT_ON)
  await tsnet.run('publish', '8080:80', 'netns:web')
  const talking = await talk(scene, '127.0.0.1', 8080)
  await scene.get('web').remove()
  await waitFor(async () => (await tsnet.ports())[0]?.redirected === undefined, { what: 'the entry to go' })
  await ends(talking)
})

/** Rules by which one user may not use a port of loopback, and the command that takes them away. */
const GUARDS: [name: string, on: string, off: string, told: RegExp][] = [
  [
    'iptables',
    'iptables -A OUTPUT -o lo -p tcp --dport 8080 -m owner --uid-owner 65534 -j REJECT --reject-with tcp-reset',
    'iptables -F OUTPUT',
    /may be dropped by iptables table filter, chain OUTPUT, rule 1/,
  ],
  [
    'legacy iptables',
    'iptables-legacy -A OUTPUT -o lo -m owner --uid-owner 65534 -j REJECT',
    'iptables-legacy -F OUTPUT',
    /may be dropped by iptables-legacy table filter, chain OUTPUT, rule 1/,
  ],
  [
    'nft',
    "nft 'add table ip own; add chain ip own out { type filter hook output priority 0; }; " +
      "add rule ip own out oifname lo meta skuid 65534 reject'",
    'nft delete table ip own',
    /may be dropped by nft table ip own, chain out, rule 1/,
  ],
]

for (const [name, on, off, told] of GUARDS) {
  t.test(`with ${name}, whom rules keep from a loopback port is kept from it by the setting`, async t => {
    const { scene, tsnet } = await open(t, 'web')
    const ask = "import socket; s = socket.create_connection(('127.0.0.1', 8080), 10)"
    const asNobody = () =>
      scene.host.run('setpriv', '--reuid', '65534', '--clear-groups', PYTHON, '-c', ask, { mayFail: true })
    await scene.host.run('sh', '-c', on)
    await tsnet.daemon(...REDIRECT_ON)
    const { stderr } = await tsnet.run('publish', '8080:80', 'web')
    t.match(
      stderr,
      /clients on loopback are not led past the proxy: what this host sends to 127\.0\.0\.1 port 8080/,
    )
    t.match(stderr, told)
    t.match((await tsnet.ports())[0], { by: ['iptables', 'proxy'], why: told })
    t.not((await asNobody()).code, 0, 'he is kept out')
    t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web', 'others are not')

    const isLed = async () => (await tsnet.ports())[0]?.redirected !== undefined
    await scene.host.run('sh', '-c', off)
    await waitFor(isLed, { what: 'it to be redirected', withinMs: 20_000 })
    t.equal((await asNobody()).code, 0)
    await scene.host.run('sh', '-c', on)
    await waitFor(async () => !(await isLed()), { what: 'it to be redirected no more', withinMs: 20_000 })
    t.not((await asNobody()).code, 0, 'he is kept out again')
    await tsnet.run('unpublish', '8080')

    const asked = await tsnet.run('publish', '--mode', 'redirect', '8080:80', 'web')
    t.match(asked.stderr, /clients on loopback are led past rules: what this host sends/)
    t.match(asked.stderr, told)
    t.equal((await asNobody()).code, 0, 'the control: asked for, he gets in')
  })
}

t.test('killed, the daemon leaves connections and nothing else; the next one redirects again', async t => {
  const { scene, tsnet } = await open(t, 'web')
  const daemon = await tsnet.daemon(...REDIRECT_ON)
  await tsnet.run('publish', '8080:80', 'web')
  const talking = await talk(scene, '127.0.0.1', 8080)
  await daemon.stop('SIGKILL')
  const isRefused = () =>
    scene.host.ask('tcp', '127.0.0.1', 8080).then(
      () => false,
      () => true,
    )
  await waitFor(isRefused, { what: 'the programs to go' })
  await goesOn(talking)
  await tsnet.daemon(...REDIRECT_ON)
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  t.equal((await tsnet.ports())[0]?.redirected?.connections, 1)
})

t.test('nobody notices --replace: no client is refused, and peers are who was asked', async t => {
  const { scene, tsnet } = await open(t, 'web')
  await tsnet.daemon(...REDIRECT_ON)
  await tsnet.run('publish', '8080:80', 'web')
  const talking = await talk(scene, '::1', 8080)
  let asking = true
  let count = 0
  const asked = (async () => {
    for (; asking; count++) await scene.host.ask('tcp', '127.0.0.1', 8080)
  })()
  for (let i = 0; i < 2; i++) await tsnet.daemon('--replace', ...REDIRECT_ON)
  const enough = count + 20
  await waitFor(() => count > enough, { what: 'more clients' })
  asking = false
  await asked
  t.match(await goesOn(talking), /'::1', 8080/, 'the peer is the one before')
  const [port] = await tsnet.ports()
  t.equal(port?.counters?.accepted, 0, 'the proxy had nothing to do')
  t.ok((port?.redirected?.connections ?? 0) > 0)
})

t.test('where the kernel does not allow it the proxy serves, and it is said once', async t => {
  const { scene, tsnet } = await open(t, 'web')
  await scene.host.tmpfs('/srv')
  await scene.host.run('sh', '-ec', 'mkdir /srv/cgroup; mount -t cgroup2 none /srv/cgroup')
  const name = `tsnet-test-${process.pid}`
  const folder = scene.host.path(`/srv/cgroup/${name}`)
  mkdirSync(folder)
  t.teardown(() => {
    if (existsSync(folder)) rmdirSync(folder)
  })
  // Somebody's program, that wants to be alone on what the daemon sees as the root.
  using program = loadProgram(
    {
      name: 'alone',
      type: BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
      attachType: BPF_CGROUP_INET4_CONNECT,
      licence: 'Apache-2.0',
    },
    [movImm(R0, 1), exit()],
  )
  using group = new Fd(openSync(folder, 'r'))
  bpf('BPF_PROG_ATTACH', 8, attr([0, group.number], [4, program.number], [8, BPF_CGROUP_INET4_CONNECT]))
  const enter = `echo $$ >/srv/cgroup/${name}/cgroup.procs; exec unshare --cgroup "$@"`
  const env = { TSNET_NAT: 'iptables', TSNET_DAEMON: 'on' }
  const daemon = scene.host.start('sh', '-ec', enter, 'sh', EXECUTABLE, 'daemon', ...REDIRECT_ON, { env })
  await waitFor(() => daemon.stdout.includes('ready'), { what: 'the daemon', withinMs: 60_000 })
  await tsnet.run('publish', '8080:80', 'web')
  const { stderr } = await tsnet.run('publish', '--mode', 'redirect', '8081:80', 'web')
  t.match(stderr, /the proxy serves clients on loopback: .*Operation not permitted.*wants to be alone/)
  for (const port of [8080, 8081]) t.equal((await scene.host.ask('tcp', '127.0.0.1', port)).place, 'web')
  t.equal(daemon.stderr.match(/the proxy alone serves clients on loopback/g)?.length, 1)
  const listed = JSON.parse((await tsnet.run('ports', '--json')).stdout)
  t.match(listed, [
    { by: ['iptables', 'proxy'], why: undefined },
    { by: ['iptables', 'proxy'], state: 'serving', why: /wants to be alone/ },
  ])
  await daemon.stop()
  await waitFor(() => rmdirSync(folder) ?? true, { what: 'the group to be empty' })
})

/** Tries to get at the maps and programs of others, as whoever runs it. */
const REACH = `
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
def bpf(command, start):
  attr = ctypes.create_string_buffer(struct.pack('<II', start, 0) + bytes(56))
  if libc.syscall(321 if ctypes.sizeof(ctypes.c_long) == 8 else 357, command, attr, 64) < 0:
    return ctypes.get_errno()
  return 0
print([bpf(command, 0) for command in (11, 12, 31)], [bpf(command, 1) for command in (13, 14)])
`

t.test('a user without rights, and root of a container, get at nothing', async t => {
  const { scene, tsnet } = await open(t, 'web', 'api')
  await tsnet.daemon(...REDIRECT_ON)
  await tsnet.run('publish', '8080:80', 'web')
  const nobody = [
    'setpriv',
    '--reuid',
    '65534',
    '--regid',
    '65534',
    '--clear-groups',
    '--bounding-set',
    '-all',
  ]
  const inContainer = ['unshare', '--user', '--map-root-user', '--net', '--mount']
  const EPERM = 1
  for (const words of [nobody, [...nobody, ...inContainer]] as [string, ...string[]][]) {
    const { stdout } = await scene.host.run(...words, PYTHON, '-c', REACH)
    const numbers = stdout.match(/\d+/g)?.map(Number)
    t.same(numbers, Array(5).fill(EPERM), words[0])
  }
  // The control: root of the host.
  t.notSame((await scene.host.run(PYTHON, '-c', REACH)).stdout.match(/\d+/g), Array(5).fill('1'))
  await t.rejects(
    scene.get('api').ask('tcp', '127.0.0.1', 8080),
    refused,
    "a container's loopback is its own",
  )
  scene.get('api').listen('tcp', 8080, '127.0.0.1')
  t.equal((await scene.get('api').ask('tcp', '127.0.0.1', 8080)).place, 'api')
})
