/**
 * `tsnet publish --service` over three hosts: clients ask any of them, and containers of all answer.
 *
 *     client, etcd ── sw0 ─┬─ eth0 one ── front0 ── a, also called web
 *                          ├─ eth0 two ── front0 ── b, also called web
 *                          └─ eth0 three ── front0 ── c
 */

import t, { type Test } from 'tap'
import { diff, snapshot, waitFor } from 'tsnet/lab'
import type { HostRow } from '../../src/hosts/hosts.ts'
import type { ListedPort } from '../../src/publish/list.ts'
import { type Container, HostSite, type Machine, PORT } from '../support/host-site.ts'
import { BACKENDS } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

const PROTOCOLS = ['tcp', 'udp'] as const

async function open(t: Test, backend: (typeof BACKENDS)[number]) {
  const site = await HostSite.open(t, backend, ['one', 'two', 'three'], {
    ipMasq: true,
    capabilities: { aliases: true },
  })
  const before = await site.settled()
  const [one, two, three] = ['one', 'two', 'three'].map(name =>
    site.machines.find(each => each.name === name),
  )
  const machines = [one, two, three] as [Machine, Machine, Machine]
  const { middle } = site
  /** Who answers a client from outside, when asked some times. */
  const answering = async (machine: Machine, protocol: (typeof PROTOCOLS)[number] = 'tcp') => {
    const all = new Set<string>()
    for (const address of machine.addresses)
      for (let i = 0; i < 6; i++) all.add((await middle.ask(protocol, address, 8080)).place)
    return [...all].toSorted().join()
  }
  const portsOf = async ({ tsnet }: Machine): Promise<ListedPort[]> =>
    JSON.parse((await tsnet.run('ports', '--json')).stdout) as ListedPort[]
  const untilMembers = (machine: Machine, ...wanted: string[]) =>
    waitFor(
      async () => {
        for (const { containers, service } of await portsOf(machine)) {
          const names = [...containers, ...(service?.away ?? [])].map(({ name }) => name).toSorted()
          if (names.length !== wanted.length) throw new Error(`there are ${names.join()}`)
        }
        return true
      },
      { what: `members ${wanted.join()} seen by ${machine.name}`, withinMs: 30_000 },
    )
  return { site, machines, before, answering, portsOf, untilMembers }
}

for (const backend of BACKENDS) {
  t.test(`${backend}: a service of one host leads to containers of the others, and follows them`, async t => {
    const { site, machines, answering, portsOf, untilMembers } = await open(t, backend)
    const [one, two, three] = machines
    await site.container(three, 'c')
    const before = await snapshot(three.host)
    for (const protocol of PROTOCOLS)
      await three.tsnet.run('publish', `8080:${PORT}/${protocol}`, '--service', 'web', '--network', 'front')
    await t.rejects(site.middle.ask('tcp', three.addresses[0], 8080), 'nobody is called so')
    const a = await site.container(one, 'a', 'web')
    const b = await site.container(two, 'b', 'web')
    await untilMembers(three, 'a', 'b')
    for (const protocol of PROTOCOLS) t.equal(await answering(three, protocol), 'a,b', protocol)
    const [listed] = await portsOf(three)
    t.match(listed, { state: 'serving', containers: [], service: { away: [{ network: 'front' }, {}] } })
    t.strictSame(
      listed?.service?.away.map(({ addresses: [v4] }) => v4 as string).toSorted(),
      [a.v4, b.v4].toSorted(),
    )
    t.match((await three.tsnet.run('inspect', '8080/tcp')).stdout, /members +[ab] on \S+, [ab] on \S+/)
    const own = (await site.hostsOf(three)).hosts[0]?.prefixes[0]?.split('/')[0]
    t.equal(
      (await site.middle.ask('tcp', three.addresses[0], 8080)).peer,
      own,
      'they see the host in the network',
    )

    // On every host the same, which leads to its own as well.
    await one.tsnet.run('publish', `8080:${PORT}`, '--service', 'web')
    await untilMembers(one, 'a', 'b')
    t.equal(await answering(one), 'a,b')
    t.equal((await one.host.ask('tcp', '127.0.0.1', 8080)).place.length, 1)

    const e = await site.container(two, 'e', 'web')
    await untilMembers(three, 'a', 'b', 'e')
    t.equal(await answering(three), 'a,b,e')
    await two.tsnet.run('detach', 'front', 'netns:b')
    await untilMembers(three, 'a', 'e')
    t.equal(await answering(three), 'a,e')
    t.ok(e.v4 !== '')
    await one.tsnet.run('detach', 'front', 'netns:a')
    await two.tsnet.run('detach', 'front', 'netns:e')
    await untilMembers(three)
    t.match(await portsOf(three), [
      { state: 'stopped', why: /no container is called web on network front/ },
      {},
    ])
    await three.tsnet.run('unpublish', 'web')
    t.strictSame(
      diff(before, await snapshot(three.host)).filter(
        // Its daemon speaks with etcd over as many connections as it needs.
        line =>
          !/^connection|^route .* on tsx|^nft rule .* set hosts|^socket three tcp \S+ established/.test(line),
      ),
      [],
      'nothing is left of it',
    )
  })

  t.test(
    `${backend}: a host that is drained takes no new connections, and goes on with those it has`,
    async t => {
      const { site, machines, answering, portsOf, untilMembers } = await open(t, backend)
      const [one, two, three] = machines
      const [a] = [await site.container(one, 'a', 'web'), await site.container(two, 'b', 'web')]
      for (const machine of [one, three]) {
        await machine.tsnet.run('publish', `8080:${PORT}`, '--service', 'web')
        await untilMembers(machine, 'a', 'b')
      }
      const row = async (of: Machine, by: Machine): Promise<HostRow | undefined> => {
        const { id } = (await site.hostsOf(of)).hosts[0] as HostRow
        return (await site.hostsOf(by)).hosts.find(each => each.id === id)
      }
      const id = (await row(one, one))?.id ?? ''
      a.namespace.start('socat', 'TCP-LISTEN:81,fork,reuseaddr', 'SYSTEM:echo begun; sleep 2; echo done')
      const held = three.host.start('socat', '-u', `TCP:${a.v4}:81,retry=20,interval=0.1`, 'STDOUT')
      await waitFor(() => held.stdout.includes('begun'), { what: 'a connection' })

      for (const machine of [one, three])
        t.equal(await answering(machine), 'a,b', `control: before it is drained, by ${machine.name}`)
      t.match(
        (await three.tsnet.run('host', 'drain', id, '--dry-run')).stdout,
        /^would drain \S+ on front\n$/,
      )
      t.notOk((await row(one, three))?.drained)
      const said = await three.tsnet.run('host', 'drain', id, '--verbose')
      t.match(said.stdout, /^\S+ on front\n$/)
      t.match(said.stderr, new RegExp(`etcdctl put /tsnet/_names/front/${id}/drained`))
      for (const machine of [one, three]) {
        await untilMembers(machine, 'b')
        t.equal(await answering(machine), 'b', `by ${machine.name}`)
      }
      t.equal((await row(one, two))?.drained, true)
      t.match((await one.tsnet.run('host', 'ls')).stdout, /self, drained/)
      t.match((await held.finished).stdout, 'done', 'what was there goes on')
      process.kill(Number(one.daemon.pid), 'SIGKILL')
      await one.daemon.finished
      one.daemon = await one.tsnet.daemon()
      await site.settled()
      t.equal((await row(one, three))?.drained, true, 'it outlives its daemon')

      // Nobody is left.
      await two.tsnet.run('host', 'drain')
      await untilMembers(three)
      t.match(await portsOf(three), [
        { state: 'stopped', why: /is called web but 2 of hosts that are drained/ },
      ])
      await t.rejects(site.middle.ask('tcp', three.addresses[0], 8080))
      for (const machine of [one, two]) await machine.tsnet.run('host', 'drain', '--undo')
      await untilMembers(three, 'a', 'b')
      t.equal(await answering(three), 'a,b')
      t.notMatch(await site.written('_names/front/'), /drained/)
    },
  )
}

t.test('who is connected to a container that another host deletes hears of it, and others go on', async t => {
  const { site, machines, untilMembers } = await open(t, 'nftables')
  const [one, two, three] = machines
  const all = [await site.container(one, 'a', 'web'), await site.container(two, 'b', 'web')]
  for (const { namespace } of all)
    namespace.start('socat', 'TCP-LISTEN:81,fork,reuseaddr', `SYSTEM:echo ${namespace.name}; cat`)
  await three.tsnet.run('publish', '8081:81', '--service', 'web')
  await untilMembers(three, 'a', 'b')
  const clients = Array.from({ length: 4 }, () =>
    site.middle.start('socat', '-u', `TCP:${three.addresses[0]}:8081`, 'STDOUT'),
  )
  const of = (name: string) => clients.filter(({ stdout }) => stdout.startsWith(name))
  await waitFor(() => of('a').length === 2 && of('b').length === 2, { what: 'two clients for each' })
  const began = performance.now()
  await two.tsnet.run('detach', 'front', 'netns:b')
  await Promise.all(of('b').map(({ finished }) => finished.catch(() => {})))
  const heardMs = performance.now() - began
  t.comment(`figure: hosts, connection to a deleted container: ${(heardMs / 1_000).toFixed(1)} s`)
  await untilMembers(three, 'a')
  t.equal(of('a').filter(({ pid }) => pid !== undefined).length, 2, 'the others go on')
  const late = site.middle.start('socat', '-u', `TCP:${three.addresses[0]}:8081`, 'STDOUT')
  await waitFor(() => late.stdout.startsWith('a'), { what: 'who comes is answered' })
})

t.test('etcd away: services go on with whom they know, also with another daemon', async t => {
  const { site, machines, answering, untilMembers } = await open(t, 'nftables')
  const [one, two, three] = machines
  const all: Container[] = [await site.container(one, 'a', 'web'), await site.container(two, 'b', 'web')]
  await three.tsnet.run('publish', `8080:${PORT}`, '--service', 'web')
  await untilMembers(three, 'a', 'b')
  await site.etcd?.stop('SIGKILL')
  await waitFor(async () => (await site.hostsOf(three)).troubles.length > 0, { what: 'trouble is said' })
  t.equal(await answering(three), 'a,b')
  process.kill(Number(three.daemon.pid), 'SIGKILL')
  await three.daemon.finished
  three.daemon = await three.tsnet.daemon()
  t.equal(await answering(three), 'a,b')
  await site.container(three, 'c', 'web')
  await untilMembers(three, 'a', 'b', 'c')
  t.equal(await answering(three), 'a,b,c', 'one of its own it sees by itself')
  await site.startEtcd()
  await site.settled()
  t.equal(await answering(three), 'a,b,c')
  t.equal(all.length, 2)
})

t.test('what is wrong with a host that is to be drained is said', async t => {
  const { machines } = await open(t, 'nftables')
  const { code, stderr } = await machines[0].tsnet.try('host', 'drain', 'nobody')
  t.equal(code, 1)
  t.match(stderr, /no host is called "nobody"/)
  t.match((await machines[0].tsnet.try('host', 'drain', '--network', 'back')).stderr, /on no network "back"/)
})
