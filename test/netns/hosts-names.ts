/**
 * Names of containers over three hosts, told by the gateway of each.
 *
 *     etcd ── sw0 ─┬─ eth0 one ── front0 ── a, also called web
 *                  ├─ eth0 two ── front0 ── b, also called web
 *                  └─ eth0 three ── front0 ── c
 */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { askTcp, askUdp } from '../support/dns.ts'
import { type Container, HostSite, type Machine } from '../support/host-site.ts'
import { dataOf } from '../support/names.ts'
import { BACKENDS } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

interface There {
  site: HostSite
  machines: [Machine, Machine, Machine]
}

async function threeHosts(t: Test, backend: (typeof BACKENDS)[number]): Promise<There> {
  const site = await HostSite.open(t, backend, ['one', 'two', 'three'], {
    ipMasq: true,
    names: true,
    capabilities: { aliases: true },
  })
  await site.settled()
  return { site, machines: site.machines as There['machines'] }
}

/** What a container is told of a name by the gateway of its own host. */
const told = async ({ namespace, v4 }: Container, name: string, type: 'A' | 'AAAA' | 'PTR' = 'A') =>
  dataOf(await askUdp(namespace, { server: v4.replace(/\d+$/, '1'), name, type }))

const pointerOf = (v4: string): string => `${v4.split('.').toReversed().join('.')}.in-addr.arpa`

/** Once all have heard of it. */
const untilTold = (from: Container, name: string, wanted: unknown, type: 'A' | 'AAAA' = 'A') =>
  waitFor(
    async () => {
      const said = await told(from, name, type)
      const sorted = Array.isArray(said) ? said.toSorted() : said
      if (JSON.stringify(sorted) !== JSON.stringify(wanted)) throw new Error(JSON.stringify(said))
      return true
    },
    { what: `${name} is ${JSON.stringify(wanted)}`, withinMs: 30_000 },
  )

for (const backend of BACKENDS) {
  t.test(`${backend}: every container finds every other by name, its own host's first`, async t => {
    const { site, machines } = await threeHosts(t, backend)
    const all: Container[] = []
    for (const [n, machine] of machines.entries())
      all.push(await site.container(machine, 'abc'[n] ?? '', ...(n < 2 ? ['web'] : [])))
    const [a, b, c] = all as [Container, Container, Container]
    for (const from of all) {
      for (const to of all) {
        const { name } = to.namespace
        await untilTold(from, name, [to.v4])
        await untilTold(from, `${name}.front`, [to.v6], 'AAAA')
        await untilTold(from, `${name}.tsnet.internal`, [to.v4])
        t.match(await told(from, pointerOf(to.v4), 'PTR'), [/^(web|[abc])\.tsnet\.internal$/])
      }
    }
    await untilTold(c, 'web', [a.v4, b.v4].toSorted())
    for (let i = 0; i < 4; i++) {
      t.strictSame(await told(a, 'web'), [a.v4, b.v4], 'the near one is the first')
      t.strictSame(await told(b, 'web'), [b.v4, a.v4])
    }
    t.strictSame(dataOf(await askTcp(c.namespace, { server: c.v4.replace(/\d+$/, '1'), name: 'a' })), [a.v4])
    t.equal(await told(c, pointerOf(b.v4.replace(/\d+$/, '99')), 'PTR'), 'NXDOMAIN', "nobody's there")
    const { stdout } = await machines[2].tsnet.run('resolve', 'c')
    t.match(stdout, c.v4)

    // Who goes is gone, and who comes is there.
    await machines[1].tsnet.run('detach', 'front', 'netns:b')
    await untilTold(c, 'web', [a.v4])
    t.equal(await told(c, 'b.tsnet.internal'), 'NXDOMAIN')
    t.match(await site.written('_names/front/'), /"names"/)
    await machines[0].tsnet.run('detach', 'front', 'netns:a')
    await machines[2].tsnet.run('detach', 'front', 'netns:c')
    await waitFor(async () => (await site.written('_names/front/')) === '', { what: 'nothing is left of it' })
  })
}

t.test(
  'etcd is away: names stay, an ADD waits for nobody, and what came meanwhile is told later',
  async t => {
    const { site, machines } = await threeHosts(t, 'nftables')
    const [one, two] = machines
    const a = await site.container(one, 'a')
    const b = await site.container(two, 'b')
    await untilTold(a, 'b', [b.v4])
    await site.etcd?.stop('SIGKILL')
    await waitFor(async () => (await site.hostsOf(one)).troubles.length > 0, { what: 'trouble is said' })
    t.strictSame(await told(a, 'b'), [b.v4])
    const d = await site.container(two, 'd')
    t.strictSame(await told(b, 'd'), [d.v4], 'on its own host it is found at once')
    // Who starts meanwhile knows what was written down.
    await one.daemon.stop()
    one.daemon = await one.tsnet.daemon()
    await untilTold(a, 'b', [b.v4])
    await site.startEtcd()
    await untilTold(a, 'd', [d.v4])

    // Its data is gone: nobody is forgotten.
    await site.etcd?.stop('SIGKILL')
    await site.middle.run('rm', '-r', '/var/lib/etcd/data')
    await site.startEtcd()
    const answers: unknown[] = []
    await waitFor(
      async () => {
        answers.push(await told(a, 'b'), await told(a, 'd'))
        return (await site.written('_names/front/')).match(/"names"/g)?.length === 3
      },
      { what: 'all is written again', withinMs: 60_000 },
    )
    t.strictSame(
      [...new Set(answers.map(each => JSON.stringify(each)))].toSorted(),
      [JSON.stringify([b.v4]), JSON.stringify([d.v4])].toSorted(),
    )
  },
)

t.test('a daemon that is replaced or killed takes no name along, and a host that is gone does', async t => {
  const { site, machines } = await threeHosts(t, 'nftables')
  const [one, two] = machines
  const a = await site.container(one, 'a')
  const b = await site.container(two, 'b')
  await untilTold(a, 'b', [b.v4])
  const answers = new Set<string>()
  const meanwhile = async (work: () => Promise<unknown>) => {
    let isOver = false
    const asking = (async () => {
      while (!isOver) answers.add(JSON.stringify(await told(a, 'b')))
    })()
    await work()
    await site.settled()
    isOver = true
    await asking
  }
  await meanwhile(async () => {
    two.daemon = await two.tsnet.daemon('--replace')
  })
  await meanwhile(async () => {
    process.kill(Number(two.daemon.pid), 'SIGKILL')
    await two.daemon.finished
    two.daemon = await two.tsnet.daemon()
  })
  t.strictSame([...answers], [JSON.stringify([b.v4])])
  await two.host.run('rm', '/etc/cni/net.d/front.conflist')
  await untilTold(a, 'b.tsnet.internal', 'NXDOMAIN')
})

t.test('what others wrote into our keys is told to nobody', async t => {
  const { site, machines } = await threeHosts(t, 'nftables')
  const [one, two] = machines
  const a = await site.container(one, 'a')
  const [{ id = '' } = {}] = (await site.hostsOf(two)).hosts
  const say = (owner: string, value: object) =>
    site.write(`_names/front/${id}/${owner}`, JSON.stringify(value))
  await say('1111111111111111', { container: 'x', names: ['evil'], addresses: [a.v4] })
  await say('2222222222222222', { container: 'x', names: ['Evil Twin'], addresses: [] })
  await waitFor(() => /evil|speaks of/.test(one.daemon.stderr) && /names\[0\]/.test(one.daemon.stderr), {
    what: 'both are named in the log',
  })
  t.equal(await told(a, 'evil.tsnet.internal'), 'NXDOMAIN')
  // Its host takes away what it did not say.
  await waitFor(async () => !(await site.written('_names/front/')).includes('evil'), { what: 'it is gone' })
})
