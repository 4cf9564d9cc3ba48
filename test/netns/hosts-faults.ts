/**
 * What fails in a network of three hosts, while packets go from one to another.
 *
 *     etcd ── sw0 ─┬─ eth0 one ── front0 ── a
 *                  ├─ eth0 two ── front0 ── b
 *                  └─ eth0 three
 */

import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import type { HostDetails, HostRow } from '../../src/hosts/hosts.ts'
import { type Container, HostSite, type Machine, PORT } from '../support/host-site.ts'
import { drawBootId } from '../support/reboot.ts'

t.setTimeout(600_000) // on a busy machine

/** Sends packets all the while. @returns how many were not answered */
async function lostMeanwhile(from: Container, to: Container, work: () => Promise<unknown>): Promise<number> {
  const ping = from.namespace.start('ping', '-i', '0.02', to.v4)
  await waitFor(() => ping.stdout.includes('icmp_seq=3 '), { what: 'answers come' })
  await work()
  // The last ones are still on their way.
  const sent = Number(/icmp_seq=(\d+) (?!.*icmp_seq)/s.exec(ping.stdout)?.[1])
  await waitFor(() => ping.stdout.includes(`icmp_seq=${sent + 3} `), { what: 'it goes on' })
  await ping.stop('SIGINT')
  const seen = new Set([...ping.stdout.matchAll(/icmp_seq=(\d+) /g)].map(([, n]) => Number(n)))
  const last = Math.max(...seen)
  return last - seen.size
}

async function siteOf(t: Test, hosts: Record<string, unknown> = {}) {
  const site = await HostSite.open(t, 'nftables', ['one', 'two', 'three'], { ipMasq: true, hosts })
  await site.settled()
  const [one, two, three] = site.machines as [Machine, Machine, Machine]
  return { site, one, two, three }
}

const selfOf = async (site: HostSite, machine: Machine): Promise<HostRow> =>
  (await site.hostsOf(machine)).hosts[0] as HostRow

t.test('no packet is lost, whoever dies of etcd and the daemons, and an ADD needs neither', async t => {
  const { site, one, two } = await siteOf(t)
  const a = await site.container(one, 'a')
  const b = await site.container(two, 'b')
  const troubled = (machine: Machine) => async () => (await site.hostsOf(machine)).troubles.length > 0
  const before = await site.settled()
  const lost = async (what: string, work: () => Promise<unknown>) => {
    const count = await lostMeanwhile(a, b, work)
    t.equal(count, 0, what)
    t.comment(`figure: packets lost between two hosts, ${what}: ${count}`)
  }
  await lost('etcd killed, an ADD meanwhile, and etcd back', async () => {
    await site.etcd?.stop('SIGKILL')
    await waitFor(troubled(one), { what: 'trouble is said' })
    const { stderr, stdout } = await one.tsnet.run('host', 'ls')
    t.match(stderr, /warning: network front: .*ECONNREFUSED|warning: network front: /)
    t.match(stdout, /self/)
    t.match(
      (await one.tsnet.run('ports')).stderr,
      /^tsnet: warning: network front: no etcd answers|^tsnet: warning: network front: .*ECONNREFUSED/m,
    )
    const { code, stderr: said } = await site.status(one)
    t.equal(code, 0, 'STATUS succeeds, and says so')
    t.match(said, /warning: network front: .*ECONNREFUSED/)
    const d = await site.container(one, 'd')
    t.match(await b.namespace.ask('tcp', d.v4, PORT), { place: 'd' })
    await site.startEtcd()
    await site.settled()
  })
  await lost('etcd killed and its data gone', async () => {
    await site.etcd?.stop('SIGKILL')
    await site.middle.run('rm', '-r', '/var/lib/etcd/data')
    await site.startEtcd()
    await site.settled()
  })
  await lost('a daemon killed, an ADD meanwhile, and another daemon', async () => {
    process.kill(Number(one.daemon.pid), 'SIGKILL')
    await one.daemon.finished
    const e = await site.container(one, 'e')
    t.match(await b.namespace.ask('tcp', e.v4, PORT), { place: 'e' })
    one.daemon = await one.tsnet.daemon()
    await site.settled()
  })
  await lost('a daemon replaced', async () => {
    one.daemon = await one.tsnet.daemon('--replace')
    await site.settled()
  })
  await lost('routes and the device taken away from a third host', async () => {
    const three = site.machines[2] as Machine
    await three.host.run(
      'sh',
      '-c',
      'ip route flush proto 116; ip link delete dev $(ip -br link show type vxlan | cut -d" " -f1)',
    )
    await waitFor(() => three.host.ask('tcp', a.v4, PORT, { withinMs: 500 }), { what: 'they come back' })
  })
  const prefixes = (rows: HostRow[][]) => rows.map(([self]) => self?.prefixes)
  t.strictSame(prefixes(await site.settled()), prefixes(before), 'and all have the prefixes that they had')
})

t.test(
  'a host that is cut off loses its routes, and then its prefix; back in time it has it again',
  async t => {
    const { site, one, three } = await siteOf(t, { routesKept: '3s', prefixKept: '20s' })
    const c = await site.container(three, 'c')
    const id = (await selfOf(site, three)).id
    const seen = async (): Promise<HostRow | undefined> =>
      (await site.hostsOf(one)).hosts.find(each => each.id === id)
    const cut = (how: 'up' | 'down') => site.middle.run('ip', 'link', 'set', 'dev', 'p13', how)
    const routes = async () => (await one.host.run('ip', 'route', 'show', 'proto', '116')).stdout
    const [prefix = ''] = (await selfOf(site, three)).prefixes
    await waitFor(async () => (await routes()).includes(prefix), { what: 'a route leads there' })
    await cut('down')
    await waitFor(async () => (await seen())?.state === 'silent', { what: 'it is silent' })
    t.notMatch(await routes(), prefix)
    await cut('up')
    await site.settled()
    t.strictSame((await selfOf(site, three)).prefixes[0], prefix)
    t.match(await waitFor(() => one.host.ask('tcp', c.v4, PORT, { withinMs: 500 }), { what: 'it answers' }), {
      place: 'c',
    })

    await cut('down')
    await waitFor(async () => (await seen()) === undefined, { what: 'its prefix is gone', withinMs: 60_000 })
    const late = await three.host.namespace('late')
    const { stderr, code } = await three.tsnet.try('attach', 'front', `netns:${late.name}`)
    t.equal(code, 1)
    t.match(stderr, /another may have its prefix by now/)
    await cut('up')
    await site.settled()
    await three.tsnet.run('attach', 'front', 'netns:late')
  },
)

t.test(
  'a host that boots while etcd is away leads to those whom it knew, and to nobody without that file',
  async t => {
    const { site, one, two } = await siteOf(t)
    const b = await site.container(two, 'b')
    await site.etcd?.stop('SIGKILL')
    const boot = async () => {
      await one.daemon.stop('SIGTERM')
      await one.host.run(
        'sh',
        '-ec',
        'ip route flush proto 116; ip link del $(ip -br link show type vxlan | cut -d" " -f1)',
      )
      await drawBootId(one.host)
      one.daemon = await one.tsnet.daemon()
      await waitFor(async () => (await site.hostsOf(one)).troubles.length > 0, { what: 'etcd is away' })
    }
    const file = '/var/lib/tsnet/hosts/members/front.json'
    const routes = async () => (await one.host.run('ip', 'route', 'show', 'proto', '116')).stdout
    await boot()
    t.equal((await one.host.run('stat', '-c', '%a', file)).stdout.trim(), '600')
    t.match(await waitFor(() => one.host.ask('tcp', b.v4, PORT, { withinMs: 500 }), { what: 'it answers' }), {
      place: 'b',
    })
    t.ok((await site.hostsOf(one)).hosts.some(({ state }) => state === 'kept'))
    await one.host.run('rm', file)
    await one.daemon.stop('SIGKILL')
    await boot()
    t.notMatch(await routes(), ' via ', 'the control')
    await site.startEtcd()
    await site.settled()
    t.match(
      await waitFor(() => one.host.ask('tcp', b.v4, PORT, { withinMs: 500 }), { what: 'etcd tells it' }),
      {
        place: 'b',
      },
    )
  },
)

t.test(
  'a prefix that another has by then: containers of before are told of; the MTU follows the underlay',
  async t => {
    const { site, two, three } = await siteOf(t, { routesKept: '3s', prefixKept: '8s' })
    await site.container(three, 'c')
    const [before] = await waitFor(async () => (await selfOf(site, three)).prefixes, { what: 'a prefix' })
    const number = Number(before?.split('.')[2])
    await site.middle.run('ip', 'link', 'set', 'dev', 'p13', 'down')
    const ctl = (...words: string[]) =>
      site.middle.run('etcdctl', ...words, {
        env: { ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: 'http://192.168.77.1:2379' },
      })
    const claim = `/tsnet/front/claims/${number}`
    await waitFor(async () => (await ctl('get', claim)).stdout === '', {
      what: 'its prefix is gone',
      withinMs: 60_000,
    })
    await ctl('put', claim, '{"host":"00000000000000aa"}')
    await site.middle.run('ip', 'link', 'set', 'dev', 'p13', 'up')
    await waitFor(
      async () =>
        /1 container has an address of a prefix that this host had/.test(
          (await site.hostsOf(three)).troubles.join(),
        ),
      { what: 'it is said', withinMs: 60_000 },
    )
    t.not((await selfOf(site, three)).prefixes[0], before)
    t.match((await site.status(three)).stderr, /other hosts do not reach them/)

    await two.host.run('ip', 'link', 'set', 'dev', 'eth0', 'mtu', '1400')
    await waitFor(
      async () => /mtu 1350/.test((await two.host.run('ip', 'link', 'show', 'type', 'vxlan')).stdout),
      { what: 'the device follows' },
    )
    await site.container(two, 'd')
    t.match((await two.host.run('ip', '-n', 'd', 'link', 'show', 'dev', 'eth0')).stdout, /mtu 1350/)
  },
)

t.test('a host that is gone for good is forgotten by hand, and one that lives is not', async t => {
  const { site, one, three } = await siteOf(t, { routesKept: '1h' })
  const { id, prefixes } = await selfOf(site, three)
  const inspect = async (): Promise<HostDetails> =>
    (JSON.parse((await one.tsnet.run('host', 'inspect', id)).stdout) as HostDetails[])[0] as HostDetails
  t.match(await inspect(), { id, state: 'up', prefixes, carrier: 'vxlan', lastWordS: Number })
  const refused = await one.tsnet.try('host', 'forget', id)
  t.equal(refused.code, 1)
  t.match(refused.stderr, /it lives/)
  t.match(await one.tsnet.try('host', 'forget', id, '--dry-run'), { code: 1, stderr: /it lives/ })
  const own = await selfOf(site, one)
  t.match((await one.tsnet.try('host', 'forget', own.id)).stderr, /is this very host/)
  t.match(
    (await one.tsnet.try('host', 'inspect', 'nobody')).stderr,
    /no host is called "nobody" on any network/,
  )
  t.match((await one.tsnet.try('host', 'inspect', own.name)).stderr, /is what several hosts are called/)

  process.kill(Number(three.daemon.pid), 'SIGKILL')
  await three.daemon.finished
  await waitFor(async () => ((await inspect()).lastWordS ?? 0) >= 15, {
    what: 'it is silent for a while',
    withinMs: 60_000,
  })
  t.match((await one.tsnet.run('host', 'forget', id, '--dry-run')).stdout, `and give away ${prefixes[0]}`)
  t.match(await inspect(), { id }, 'which it was not')
  t.match(await one.tsnet.run('host', 'forget', id, '--json', '--verbose'), {
    stdout: /"state":"up"/,
    stderr: /^(\[#\] etcdctl del \S+\n){2}$/,
  })
  await waitFor(async () => (await site.hostsOf(one)).hosts.every(each => each.id !== id), {
    what: 'it is forgotten',
  })
  t.notMatch((await one.host.run('ip', 'route', 'show', 'proto', '116')).stdout, String(prefixes[0]))
  t.equal(JSON.parse((await one.tsnet.run('host', 'ls', '--json')).stdout).length, 2)
  t.equal(
    (await one.tsnet.run('host', 'ls', '--quiet', '--filter', 'state=up')).stdout.trim().split('\n').length,
    1,
  )
})

t.test('a host whose list says otherwise is refused, and one whose list goes is let go', async t => {
  const { site, one, three } = await siteOf(t)
  const file = three.host.path('/etc/cni/net.d/front.conflist')
  writeFileSync(file, site.list({ hosts: { hostPrefix: 25 } }))
  await waitFor(async () => /have agreed on/.test((await site.hostsOf(three)).troubles.join()), {
    what: 'it is refused',
  })
  await three.host.namespace('x')
  const { stderr } = await three.tsnet.try('attach', 'front', 'netns:x')
  t.match(stderr, /no prefix of it yet|have agreed/)
  writeFileSync(file, site.list())
  await site.settled()
  await three.host.run('rm', '/etc/cni/net.d/front.conflist')
  await waitFor(async () => (await site.hostsOf(one)).hosts.some(({ state }) => state === 'silent'), {
    what: 'others hear of it',
  })
  await waitFor(async () => (await three.host.run('ip', 'route', 'show', 'proto', '116')).stdout === '', {
    what: 'nothing is left of it',
  })
  t.notMatch((await three.host.run('ip', '-br', 'link')).stdout, /tsx/)
})
