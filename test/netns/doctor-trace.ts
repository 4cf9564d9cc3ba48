/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web:80        8080 (tcp, udp) ─▶ web:80
 *       192.168.50.2   192.168.50.1
 *
 * One packet is followed through the rules of a host, and nothing of that stays.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Traced } from '../../src/doctor/trace/trace.ts'
import { Command, REDIRECT_ON } from '../support/daemon.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

t.test('a packet is followed through hooks and rules to where it ends', async t => {
  const scene = await Scene.open('nftables', 'web')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'nftables', {}, 'off')
  const ports = ['tcp', 'udp'].map(protocol => ({ hostPort: 8080, containerPort: 80, protocol }))
  await scene.network('front', 10).add(scene.get('web'), { ports })
  const daemon = await tsnet.daemon()
  const tables = async () => (await scene.host.run('nft', 'list', 'tables')).stdout
  const follow = async (...words: string[]): Promise<Traced & { code: number }> => {
    const { stdout, stderr, code } = await tsnet.try('trace', ...words, '--json')
    if (stdout === '') throw new Error(stderr)
    return { ...(JSON.parse(stdout) as Traced), code }
  }
  const hooksOf = ({ steps }: Traced) => [...new Set(steps.map(({ hook }) => hook))]
  const leaving = ({ steps }: Traced, hook: string) =>
    steps.find(step => step.hook === hook && step.kind === 'leaves')?.what

  const local = await follow('8080')
  t.match(local, { code: 0, end: { reached: true, what: 'somebody answered' } }, 'from this host on loopback')
  t.strictSame(hooksOf(local), ['output', 'postrouting', 'prerouting', 'input'])

  const stranger = await follow('8080', '--from', '192.168.50.2')
  t.strictSame(hooksOf(stranger), ['prerouting', 'forward', 'postrouting'], 'as a client outside')
  t.match(leaving(stranger, 'forward'), /^192\.168\.50\.2:\d+ → 10\.10\.0\.2:80, tsnet-trace → br-front$/)
  t.ok(
    stranger.steps.some(({ kind, what }) => kind === 'rule' && /nft table inet tsnet/.test(what)),
    'with our rules',
  )

  const udp = await follow('8080/udp', '--from', '192.168.50.2')
  t.match(leaving(udp, 'postrouting'), /→ 10\.10\.0\.2:80, tsnet-trace → br-front$/, 'a datagram')

  const stranger6 = await follow('8080', '--from', 'fd50::2')
  t.strictSame(hooksOf(stranger6), ['prerouting', 'forward', 'postrouting'], 'as a client outside, over IPv6')
  t.match(leaving(stranger6, 'forward'), /^\[fd50::2\]:\d+ → \[fd10::2\]:80, tsnet-trace → br-front$/)
  for (const [from, by] of [
    ['::1', 'by this host'],
    ['fd50::1', 'by this host'],
    ['fd10::2', 'by container web'],
  ] as const) {
    const own6 = await follow('8080', '--from', from)
    t.match(own6, { code: 0, end: { reached: true, what: 'somebody answered' } }, from)
    t.match(own6.sent, by)
  }
  await scene.host.run('ip6tables', '-I', 'FORWARD', '-o', 'br-front', '-j', 'DROP')
  t.match(
    (await follow('8080/udp', '--from', 'fd50::2')).end.what,
    /dropped in forward by ip6tables table filter, chain FORWARD, rule 1: "-o br-front -j DROP"/,
  )
  await scene.host.run('ip6tables', '-D', 'FORWARD', '-o', 'br-front', '-j', 'DROP')

  await scene.host.run('iptables', '-I', 'FORWARD', '-o', 'br-front', '-j', 'DROP')
  const dropped = await follow('8080', '--from', '192.168.50.2')
  t.match(dropped, { code: 1, end: { reached: false } }, 'before a rule of others')
  t.match(
    dropped.end.what,
    /dropped in forward by iptables table filter, chain FORWARD, rule 1: "-o br-front -j DROP"/,
  )
  await scene.host.run('iptables', '-D', 'FORWARD', '-o', 'br-front', '-j', 'DROP')

  await scene.host.run('iptables-legacy', '-I', 'FORWARD', '-o', 'br-front', '-j', 'DROP')
  const legacy = await follow('8080', '--from', '192.168.50.2')
  t.match(
    legacy.end.what,
    /came into forward and did not leave it: legacy iptables/,
    'what tells nothing is named',
  )
  await scene.host.run('iptables-legacy', '-F', 'FORWARD')

  const inner = await follow('8080', '--from', '10.10.0.2')
  t.match(inner.sent, /by container web/)
  t.match(inner.end, { reached: true, what: 'somebody answered' }, 'from within the container')

  const nobody = await follow('9999')
  t.match(nobody.end.what, /it came to this host, which refused it/, 'a port that nobody has')

  for (const [words, said] of [
    [['http'], /is no port of this host/],
    [['8080', '--from', 'fd50::/64'], /--from: "fd50::\/64" is not an IP address/],
    [['8080', '--from', 'me'], /--from: "me" is not an IP address/],
    [['70000'], /ports go from 1 to 65535/],
  ] as const) {
    const { code, stderr } = await tsnet.try('trace', ...words)
    t.equal(code, 2, words.join(' '))
    t.match(stderr, said)
  }
  t.notMatch(await tables(), 'tsnet-trace', 'no table is left')
  t.notMatch((await scene.host.run('ip', '-br', 'link')).stdout, 'tsnet-trace', 'and no interface')

  const running = scene.host.start(
    'sh',
    '-c',
    'exec "$0" trace 8081/udp --from 192.168.50.2',
    'dist/bin/tsnet',
    {
      cwd: process.cwd(),
      env: { TSNET_NAT: 'nftables' },
    },
  )
  await waitFor(async () => (await tables()).includes('tsnet-trace'), {
    what: 'a trace to be under way',
    withinMs: 30_000,
  })
  await running.stop('SIGKILL')
  await waitFor(async () => !(await tables()).includes('tsnet-trace'), {
    what: 'the table to go with who had it',
  })

  const successor = await tsnet.daemon('--replace', ...REDIRECT_ON)
  await daemon.finished
  for (const [words, asked, led] of [
    [[], /who asks for 127\.0\.0\.1:8080 straight to 10\.10\.0\.2:80/, /→ 10\.10\.0\.2:80, over br-front$/],
    [
      ['--from', '::1'],
      /who asks for \[::1\]:8080 straight to 10\.10\.0\.2:80/,
      /→ 10\.10\.0\.2:80, over br-front$/,
    ],
  ] as const) {
    const redirected = await follow('8080', ...words)
    t.match(redirected.steps[0], { hook: 'connect', kind: 'redirect', what: asked })
    t.match(leaving(redirected, 'output'), led)
    t.match(redirected.end, { reached: true, what: 'somebody answered' })
  }
  t.match((await tsnet.run('trace', '8080')).stdout, /^ {2}connect {6}the kernel's program connects /m)
  await successor.stop()
})
