/** `npm run demo`, on machines with more and with fewer tools than this one. */

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { type Host, lab, type World } from 'tsnet/lab'
import type { DemoReport } from '../../src/cli/demo.ts'

t.setTimeout(600_000) // on a busy machine

const EXECUTABLE = resolve('dist/bin/tsnet')

const FIREWALLS = [
  'iptables',
  'iptables-restore',
  'iptables-save',
  'ip6tables-restore',
  'ip6tables-save',
  'nft',
]
const LIBRARY = '/usr/lib/*/libnftables.so.1*'

/** A host on which these commands and files cannot be run or loaded, as if they were not installed. */
async function hostWithout(world: World, names: readonly string[]): Promise<Host> {
  const host = await world.host('bare')
  const folders = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin']
  const paths = names.flatMap(name =>
    name.includes('/') ? [name] : folders.map(folder => `${folder}/${name}`),
  )
  const hide = 'for file in $*; do [ ! -e "$file" ] || mount --bind /dev/null "$file"; done'
  await host.run('sh', '-c', hide, 'sh', ...paths)
  return host
}

function demo(args: string[], env: Record<string, string> = {}, options: { uid?: number } = {}) {
  const { PATH = '' } = process.env
  return spawnSync(EXECUTABLE, ['demo', ...args], {
    encoding: 'utf8',
    env: { PATH, ...env },
    ...options,
  })
}

t.test('npm run demo draws, publishes, fetches, shows the rules, cleans up and says so', async t => {
  const machine = () => readdirSync('/sys/class/net').sort()
  const before = machine()
  // What the script does after building, which is done already and which others are using.
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
  const [build, show = ''] = scripts.demo?.split(' && ') ?? []
  t.equal(build, 'npm run build')
  const { status, stdout, stderr } = spawnSync('sh', ['-c', show], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  t.match(stdout, /lan0 192\.168\.50\.1\/24 .* client eth0/)
  t.match(stdout, /demo0 \(bridge\) 10\.88\.0\.1\/16 fd88::1\/64/)
  t.match(stdout, /✓ the client fetches http:\/\/192\.168\.50\.1:8080\//)
  t.match(stdout, /✓ the host fetches http:\/\/\[fd50::1\]:8080\//)
  t.match(stdout, /Hello from the container! You are 192\.168\.50\.2\./)
  t.match(stdout, /masquerade/i)
  t.match(stdout, /✓ nothing is left/)
  t.notMatch(stdout, '\u001b', 'a pipe gets no colours')
  t.strictSame(machine(), before, 'the network of this machine is as it was')
})

for (const backend of ['iptables', 'nftables'] as const) {
  t.test(`tsnet demo --json tells the same to programs, by ${backend}`, async t => {
    const { status, stdout, stderr } = demo(['--json'], { TSNET_NAT: backend })
    t.equal(status, 0, stderr)
    const report = JSON.parse(stdout) as DemoReport
    t.equal(report.backend, backend)
    t.equal(report.fetched.length, 4)
    t.strictSame(report.outside, { '192.168.50.2': '192.168.50.1', 'fd50::2': 'fd50::1' })
    t.match(report.rules, /8080/)
    t.strictSame(report.left, [])
  })
}

t.test('on a bare machine, without iptables, nft, libnftables and ip, the kernel is enough', async t => {
  await using world = await lab()
  const host = await hostWithout(world, [...FIREWALLS, LIBRARY, 'ip', 'conntrack'])
  const { stdout } = await host.run(EXECUTABLE, 'demo', '--json')
  const report = JSON.parse(stdout) as DemoReport
  t.equal(report.backend, 'nftables')
  t.equal(report.fetched.length, 4)
  t.match(report.rules, /map ports4 \{\n {4}tcp \. 8080 : 10\.88\.0\.2 \. 80\n/)
  t.match(report.rules, /chain publish \{\n(.*\n)*? {4}.*dnat ip to/)
  t.strictSame(report.left, [])
})

t.test('without the tools of the sandbox, it names them and their package', async t => {
  await using world = await lab()
  const host = await hostWithout(world, ['unshare', 'nsenter'])
  const plain = await host.run(EXECUTABLE, 'demo', { mayFail: true })
  t.equal(plain.code, 1)
  t.equal(plain.stdout, '')
  t.match(plain.stderr, /^tsnet: .*unshare, nsenter: not found in PATH\nTry: .* install util-linux\n$/)
  const json = await host.run(EXECUTABLE, 'demo', '--json', { mayFail: true })
  t.match(JSON.parse(json.stdout), { error: { code: 'missing', message: /unshare/ } })
})

t.test('without root, it says that it needs root', async t => {
  const { status, stderr } = demo([], {}, { uid: 65534 })
  t.equal(status, 1)
  t.match(stderr, /^tsnet: .*needs root/)
})
