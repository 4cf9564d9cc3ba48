/**
 * The lab itself.
 *
 *     client eth0 ───────── lan0 host br0 ───────── eth0 web
 *       192.168.50.2   192.168.50.1   10.9.0.1        10.9.0.2
 *       fd50::2             fd50::1   fd09::1         fd09::2
 */

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  CommandError,
  type Host,
  lab,
  type Namespace,
  NoAnswer,
  snapshot,
  type World,
  waitFor,
} from 'tsnet/lab'
import { readSysctl, writeSysctl } from '../../src/netns/sysctl.ts'

t.setTimeout(600_000) // on a busy machine

interface Small {
  world: World
  host: Host
  client: Host
  web: Namespace
}

async function small(): Promise<Small> {
  const world = await lab()
  const host = await world.host('host')
  const client = await world.host('client')
  const web = await host.namespace('web')
  world.wire(
    [host, 'lan0', '192.168.50.1/24', 'fd50::1/64'],
    [client, 'eth0', '192.168.50.2/24', 'fd50::2/64'],
  )
  world.wire([host, 'web0'], [web, 'eth0', '10.9.0.2/24', 'fd09::2/64'])
  host.bridge('br0', { addresses: ['10.9.0.1/24', 'fd09::1/64'], ports: ['web0'] })
  web.route('default', '10.9.0.1')
  web.route('default', 'fd09::1')
  client.route('10.9.0.0/24', '192.168.50.1')
  client.route('fd09::/64', 'fd50::1')
  host.inside(() => {
    writeSysctl('net/ipv4/ip_forward', '1')
    writeSysctl('net/ipv6/conf/all/forwarding', '1')
  })
  return { world, host, client, web }
}

t.test('places reach each other over wires, bridges and routes, by TCP and UDP, IPv4 and IPv6', async t => {
  const { world, client, web } = await small()
  for (const transport of ['tcp', 'udp'] as const) {
    const server = web.listen(transport, 7)
    const v4 = await client.ask(transport, '10.9.0.2', 7, { text: 'over IPv4' })
    t.match(v4, { place: 'web', peer: '192.168.50.2', text: 'over IPv4' })
    const v6 = await client.ask(transport, 'fd09::2', 7, { text: 'over IPv6', fromPort: 4007 })
    t.strictSame(v6, { place: 'web', peer: 'fd50::2', peerPort: 4007, text: 'over IPv6' })
    t.strictSame(server.heard, [v4, v6])
  }
  await world.end()
})

t.test('a wire has all that the kernel adds to its ends when it is there', async t => {
  const world = await lab()
  const host = await world.host('host')
  const client = await world.host('client')
  for (let n = 1; n <= 20; n++) {
    world.wire([host, `lan${n}`, `fd${50 + n}::1/64`], [client, `eth${n}`, `fd${50 + n}::2/64`])
    const first = await snapshot(host)
    const routes = Object.keys(first.route ?? {}).filter(one => one.startsWith(`host local `))
    t.ok(
      routes.some(one => one.includes(`local fd${50 + n}::1/128`)),
      `the route of its address, ${n}`,
    )
    t.ok(
      routes.some(one => /local fe80::/.test(one) && one.endsWith(`on lan${n}`)),
      `the link-local one, ${n}`,
    )
  }
  await world.end()
})

t.test('pages are fetched by place', async t => {
  const { world, client, host, web } = await small()
  web.serveHttp(80, peer => `hello ${peer}`)
  t.strictSame(await client.fetch('http://10.9.0.2/'), { status: 200, body: 'hello 192.168.50.2' })
  t.strictSame(await host.fetch('http://[fd09::2]:80/'), { status: 200, body: 'hello fd09::1' })
  await world.end()
})

t.test('no answer is an error with its reason', async t => {
  const { world, client, web } = await small()
  await t.rejects(client.ask('tcp', '10.9.0.2', 81), { name: 'NoAnswer', code: 'ECONNREFUSED' })
  await t.rejects(client.ask('udp', '10.9.0.2', 81), { name: 'NoAnswer', code: 'ECONNREFUSED' })
  await t.rejects(client.fetch('http://10.9.0.2/'), NoAnswer)
  await t.rejects(client.ask('udp', '8.8.8.8', 53), { code: 'ENETUNREACH' })
  const silent = web.listen('tcp', 82)
  silent.close()
  await t.rejects(client.ask('tcp', '10.9.0.9', 82, { withinMs: 100 }), { code: 'ETIMEDOUT' })
  await world.end()
})

t.test('a command runs by place, with a clean environment', async t => {
  process.env.NODE_OPTIONS = '--no-warnings'
  t.teardown(() => delete process.env.NODE_OPTIONS)
  const { world, host, web } = await small()
  t.match((await host.run('ip', '-o', 'link')).stdout, /br0/)
  const inWeb = await web.run('ip', '-o', 'link')
  t.match(inWeb.stdout, /eth0/)
  t.notMatch(inWeb.stdout, /br0/)
  const { stdout } = await host.run('env', { env: { CNI_COMMAND: 'ADD' } })
  const names = stdout.split('\n').map(line => line.split('=')[0])
  t.strictSame(names.filter(Boolean).sort(), ['CNI_COMMAND', 'HOME', 'LANG', 'PATH', 'SHLVL'])
  t.equal((await host.run('cat', { stdin: 'in' })).stdout, 'in')
  t.equal((await host.run('pwd')).stdout, '/\n')
  t.equal((await host.run('pwd', { cwd: '/run/netns' })).stdout, '/run/netns\n')
  await t.rejects(host.run('sh', '-c', 'echo no >&2; exit 3'), {
    code: 3,
    message: /host: sh .* ended with 3: no/,
  })
  t.equal((await host.run('false', { mayFail: true })).code, 1)
  await t.rejects(host.run('no-such-command'), CommandError)
  await t.rejects(host.run('sleep', '60', { withinMs: 50 }), /did not end within 50 ms/)
  await world.end()
})

t.test('a shell reads none of the start-up files that people have', async t => {
  await using world = await lab()
  const host = await world.host('host')
  const HOME = t.testdir({ '.bashrc': 'echo read' })
  t.equal((await host.run('bash', '-c', 'echo done', { env: { HOME } })).stdout, 'done\n')
  const byNode = spawnSync('bash', ['-c', 'echo done'], { env: { HOME }, encoding: 'utf8' })
  t.equal(byNode.stdout, 'read\ndone\n', 'control: what Node starts itself')
})

t.test('a host has its own /run, /sys, /proc, /etc/cni and /var/lib/cni', async t => {
  const { world, host, web } = await small()
  t.match((await host.run('ls', '/sys/class/net')).stdout, /br0\nlan0\nlo\nweb0/)
  await host.run('sh', '-c', 'echo mine >/var/lib/cni/x; echo mine >/etc/cni/x; echo mine >/run/x')
  for (const file of ['/var/lib/cni/x', '/etc/cni/x', '/run/x']) {
    t.equal(readFileSync(host.path(file), 'utf8'), 'mine\n')
    t.notOk(existsSync(file), `${file} is not on the machine`)
  }
  await host.tmpfs('/srv', '/opt/not/there')
  await host.run('touch', '/srv/x', '/opt/not/there/x')
  t.notOk(existsSync('/srv/x'))
  t.notOk(existsSync('/opt/not'))
  t.strictSame(host.processes(), [])
  t.equal((await host.run('stat', '-Lc', '%i', web.path)).stdout, `${web.netns.id.ino}\n`)
  t.equal(
    web.inside(() => readSysctl('net/ipv4/ip_forward')),
    '0',
  )
  await world.end()
})

t.test('a world draws itself as the kernel has it', async t => {
  const { world } = await small()
  t.equal(
    world.draw(),
    `host
├─ lan0 192.168.50.1/24 fd50::1/64 ── client eth0 192.168.50.2/24 fd50::2/64
└─ br0 (bridge) 10.9.0.1/24 fd09::1/64
   └─ web0 ────────────────────────── web eth0 10.9.0.2/24 fd09::2/64
`,
  )
  await world.end()
})

t.test('a namespace can go while the host stays', async t => {
  const { world, host, web } = await small()
  const running = web.start('sleep', '1000')
  await waitFor(() => running.pid, { what: 'the command' })
  await web.remove()
  t.equal((await running.finished).code, 137)
  t.strictSame((await host.run('ls', '/run/netns')).stdout, '')
  await waitFor(() => !existsSync(host.path('/proc/sys/net/ipv4/conf/web0')), { what: 'the veth to go' })
  await world.end()
})

t.test('a started command ends with the world, and what it left behind is reported', async t => {
  const { world, host, web } = await small()
  web.start('sleep', '1000')
  const running = host.start('sh', '-c', 'echo ready; sleep 1000')
  await waitFor(() => running.stdout === 'ready\n', { what: 'the command' })
  await host.run('sh', '-c', 'setsid sleep 2000 >/dev/null 2>&1 &')
  const stray = await waitFor(() => host.strays().find(({ command }) => command === 'sleep 2000'), {
    what: 'the daemon',
  })
  const left = await world.end()
  t.strictSame(left, [stray])
  t.equal((await running.finished).code, 137)
})

t.test('a started command can be stopped', async t => {
  const { world, host } = await small()
  const running = host.start(
    'sh',
    '-c',
    'trap "echo bye; exit 4" TERM; echo ready; while :; do sleep 0.01; done',
  )
  await waitFor(() => running.stdout === 'ready\n', { what: 'the command' })
  const { code, stdout } = await running.stop()
  t.strictSame([code, stdout], [4, 'ready\nbye\n'])
  t.strictSame(await world.end(), [])
})

t.test('kill -9 of the test process leaves nothing', async t => {
  const lab = new URL('../../src/lab/lab.js', import.meta.url).href
  const script = `
    const { lab } = await import(${JSON.stringify(lab)})
    const host = await (await lab()).host('doomed')
    await host.namespace('web')
    host.start('sleep', '4711')
    console.log(host.path(''))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let root = ''
  child.stdout.on('data', chunk => {
    root += chunk
  })
  await waitFor(() => root.endsWith('\n'), { what: 'the world' })
  t.ok(existsSync(root.trim()))
  child.kill('SIGKILL')
  await waitFor(() => !existsSync(root.trim()), { what: 'the host to go' })
})

t.test('the example in the title file does what it says', async t => {
  const title = readFileSync('src/lab/lab.ts', 'utf8')
  const example = [...title.matchAll(/^ \* {5}(.*)$/gm)].map(([, line = '']) => line)
  const code = example.slice(
    0,
    example.findIndex(line => line.startsWith('test process')),
  )
  const file = join('dist', 'lab-example.mjs')
  const [, expected = ''] = code.join('\n').match(/fetch\(.*\/\/ (.*)/) ?? []
  writeFileSync(
    file,
    code
      .join('\n')
      .replace('await using world', 'const world')
      .replace(/(await client\.fetch.*?\)) .*/, `console.log(JSON.stringify($1))`),
  )
  t.teardown(() => rmSync(file))
  const { status, stdout } = spawnSync(process.execPath, [file], { encoding: 'utf8' })
  t.equal(status, 0)
  t.strictSame(JSON.parse(stdout), { status: 200, body: 'hello' })
  t.equal(expected, "{ status: 200, body: 'hello' }")
})

t.test('waitFor says what it waited for, and why in vain', async t => {
  await t.rejects(
    waitFor(() => Promise.reject(new Error('still red')), { what: 'green', withinMs: 20 }),
    /waited 20 ms for green, in vain: still red/,
  )
})
