/** `npm run demo`, on machines with more and with fewer tools than this one. */

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { lab } from 'tsnet/lab'
import type { DemoReport } from '../../src/cli/demo.ts'

const EXECUTABLE = resolve('dist/bin/tsnet')

/** What a machine has that has hardly anything: Node, a shell, and what the sandbox is made with. */
const LEAST = ['sh', 'cat', 'mkdir', 'rmdir', 'rm', 'unshare', 'nsenter', 'mount', 'umount', 'true']

/** A PATH with these commands and Node, nothing else. */
function pathWith(folder: string, commands: readonly string[]): string {
  for (const command of commands) {
    const { stdout } = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command], { encoding: 'utf8' })
    const found = stdout.startsWith('/') ? stdout.trim() : `/bin/${command}`
    symlinkSync(found, join(folder, command))
  }
  symlinkSync(process.execPath, join(folder, 'node'))
  return folder
}

function demo(args: string[], env: Record<string, string> = {}, options: { uid?: number } = {}) {
  const PATH = env.PATH ?? process.env.PATH ?? ''
  return spawnSync(process.execPath, [EXECUTABLE, 'demo', ...args], {
    encoding: 'utf8',
    env: { HOME: '/', ...env, PATH },
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

t.test('without iptables, nft and ip, libnftables is enough', async t => {
  const { status, stdout, stderr } = demo(['--json'], { PATH: pathWith(t.testdir(), LEAST) })
  t.equal(status, 0, stderr)
  const report = JSON.parse(stdout) as DemoReport
  t.equal(report.backend, 'nftables')
  t.match(report.rules, /8080/)
  t.strictSame(report.left, [])
})

t.test('with no firewall tool at all, it says what to install', async t => {
  await using world = await lab()
  const host = await world.host('bare')
  await host.run('sh', '-c', 'for f in /usr/lib/*/libnftables.so.1*; do mount --bind /dev/null "$f"; done')
  const PATH = pathWith(t.testdir(), LEAST)
  const { code, stderr } = await host.run('node', EXECUTABLE, 'demo', { env: { PATH }, mayFail: true })
  t.equal(code, 1)
  t.match(stderr, /libnftables/)
  t.match(stderr, /install/i)
})

t.test('without the tools of the sandbox, it names them and their package', async t => {
  const PATH = pathWith(
    t.testdir(),
    LEAST.filter(command => !['unshare', 'nsenter'].includes(command)),
  )
  const { status, stdout, stderr } = demo([], { PATH })
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, /^tsnet: .*unshare, nsenter: not found in PATH\nInstall the packages: util-linux\n$/)
  const json = demo(['--json'], { PATH })
  t.match(JSON.parse(json.stdout), { error: { code: 'missing', message: /unshare/ } })
})

t.test('without root, it says that it needs root', async t => {
  const { status, stderr } = demo([], {}, { uid: 65534 })
  t.equal(status, 1)
  t.match(stderr, /^tsnet: .*needs root/)
})
