/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web:80        8080 (tcp, udp) ─▶ web:80
 *       192.168.50.2   192.168.50.1
 *
 * One packet is followed through the rules of a host, and nothing of that stays.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Traced } from '../../src/doctor/trace/trace.ts'
import { Command } from '../support/daemon.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(240_000)

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
  await daemon.stop()
})
