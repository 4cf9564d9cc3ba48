/**
 *     host ─── br-front ─── web, stranger
 *
 * Clients of loopback ask without a pause while a daemon is killed, a container is another, ports come and go: who is led
 * where, and what is left of it in the kernel.
 */

import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Host, waitFor } from 'tsnet/lab'
import { parseIp } from '../../src/model/address/address.ts'
import { Front } from '../../src/publish/front/front.ts'
import type { ListedPort } from '../../src/publish/list.ts'
import { Redirect } from '../../src/redirect/redirect.ts'
import { type BpfObject, bpfObjectsOf, isThere, keysOf } from '../support/bpf-objects.ts'
import { Command, EXECUTABLE, REDIRECT_ON } from '../support/daemon.ts'
import { DockerProxy, flags } from '../support/docker-proxy.ts'
import { memoryOf } from '../support/memory.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { TestProxy } from '../support/published.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

async function open(t: Test, ...containers: string[]) {
  const scene = await Scene.open('nftables', ...containers)
  t.teardown(() => scene.close())
  return { scene, network: scene.network('front', 10), tsnet: new Command(scene.host, 'nftables') }
}

const AT_ONCE = 4

/** Clients that ask 127.0.0.1:8080 one after the other, and what became of each: who answered, or the error. */
class Load {
  readonly outcomes = new Map<string, number>()
  readonly #clients: Promise<void>[]
  #goesOn = true

  constructor(host: Host) {
    this.#clients = Array.from({ length: AT_ONCE }, async () => {
      while (this.#goesOn) {
        const outcome = await host.ask('tcp', '127.0.0.1', 8080, { withinMs: 20_000 }).then(
          ({ place }) => place,
          thrown => String(thrown.code),
        )
        this.outcomes.set(outcome, this.count(outcome) + 1)
        // Who is refused at once would let nobody else have a turn.
        await turn()
      }
    })
  }

  count(outcome: string): number {
    return this.outcomes.get(outcome) ?? 0
  }

  /** So many more of it. */
  async more(outcome: string, count = 1): Promise<void> {
    const enough = this.count(outcome) + count
    await waitFor(() => this.count(outcome) >= enough, {
      what: `${count} more: ${outcome}`,
      withinMs: 30_000,
    })
  }

  async stop(): Promise<void> {
    this.#goesOn = false
    await Promise.all(this.#clients)
  }
}

const ROUNDS = 1000
const PARTS = 4
const GROWTH_KB = 16

t.test(`${ROUNDS} ranges that come and go leave no key, program, descriptor or memory behind`, async t => {
  const { scene, network } = await open(t, 'web')
  await network.add(scene.get('web'))
  await using proxy = new TestProxy({}, scene.host)
  const front = new Front(proxy.proxy, true, line => t.fail(line))
  t.teardown(() => front.close())
  const target = { ip: parseIp('10.10.0.2'), port: 80 }
  const publish = (id: string, hostPort: number) =>
    scene.host.inside(() => front.publish({ id, protocol: 'tcp', hostPort, count: 7, targets: [target] }))
  publish('stays', 9090)
  const held = () => {
    const objects = bpfObjectsOf(process.pid)
    const keys = objects.filter(({ kind }) => kind === 'map').map(each => [each.id, keysOf(each)])
    return { objects, keys, descriptors: readdirSync('/proc/self/fd').length }
  }
  const round = async () => {
    publish('web', 8080)
    await front.withdraw('web')
  }
  for (let i = 0; i < ROUNDS / 5; i++) await round()
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 9090)).place, 'web')
  const before = held()
  const growths: number[] = []
  for (let part = 0; part < PARTS; part++) {
    const { rssKb } = memoryOf('/proc/self')
    for (let i = 0; i < ROUNDS / PARTS; i++) await round()
    growths.push(memoryOf('/proc/self').rssKb - rssKb)
  }
  // Clients' sockets, in this process, close by and by.
  await waitFor(() => held().descriptors <= before.descriptors, { what: 'the descriptors to come back' })
  t.same({ ...held(), descriptors: 0 }, { ...before, descriptors: 0 })
  // What leaks does so in every part; what the runtime keeps for itself comes in some.
  t.ok(Math.min(...growths) < (ROUNDS / PARTS) * GROWTH_KB, `${growths.join(', ')} kB`)
  t.comment(`${growths.join(', ')} kB`)

  publish('web', 8080)
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  t.match(front.redirectedOf('web'), { connections: 1 })
  t.notSame(held().keys, before.keys, 'the control: one that stays is seen')
  await front.withdraw('web')
  t.same(held().keys, before.keys)
})

const KILLS = 6

t.test(
  `${KILLS} kills of the daemon leave nothing in the kernel, and no client is refused whose port is held`,
  async t => {
    const { scene, network, tsnet } = await open(t, 'web')
    await network.add(scene.get('web'))
    let daemon = await tsnet.daemon(...REDIRECT_ON)
    const proxy = await DockerProxy.up(scene.host, 'tsnet', flags({ to: '10.10.0.2' }))
    const load = new Load(scene.host)
    for (let i = 0; i < KILLS; i++) {
      // In the midst of its work, or as it has just got its programs.
      if (i % 2 === 0) await load.more('web', 10 * i + 1)
      const pid = await waitFor(() => daemon.pid, { what: 'the daemon' })
      const left = await waitFor(() => attached(pid), { what: 'its programs' })
      await daemon.stop('SIGKILL')
      await waitFor(() => !left.some(isThere), { what: 'all of it to be gone from the kernel' })
      daemon = i % 2 === 0 ? tsnet.start(...REDIRECT_ON) : await tsnet.daemon(...REDIRECT_ON)
    }
    await load.more('web', 50)
    await load.stop()
    t.comment(JSON.stringify([...load.outcomes]))
    t.equal(load.count('ECONNREFUSED'), 0)
    t.ok(load.count('ECONNRESET') <= KILLS * AT_ONCE, 'only those whom the proxy served end with it')

    await daemon.stop('SIGKILL')
    await proxy.stop('KILL')
    const control = new Load(scene.host)
    await control.more('ECONNREFUSED')
    await control.stop()
  },
)

/** What a process has, once its programs are attached. */
function attached(pid: number): BpfObject[] | undefined {
  const objects = bpfObjectsOf(pid)
  return objects.filter(({ kind }) => kind === 'link').length === LINKS ? objects : undefined
}
const LINKS = 4

const RESTARTS = 4

t.test(
  `${RESTARTS} containers follow each other, and no client gets to who has an address after one`,
  async t => {
    const { scene, network, tsnet } = await open(t, 'web', 'stranger')
    const [web, stranger] = [scene.get('web'), scene.get('stranger')]
    await tsnet.daemon(...REDIRECT_ON)
    const ports = [{ hostPort: 8080, containerPort: 80 }]
    const at = (ip: string) => ({ env: { CNI_ARGS: `IP=${ip}` } })
    await network.add(web, { ports, ...at('10.10.0.10') })
    const load = new Load(scene.host)
    for (let i = 0; i < RESTARTS; i++) {
      await load.more('web', 100)
      const [before, next] = [`10.10.0.${10 + i}`, `10.10.0.${11 + i}`]
      await network.delete(web, { ports })
      await network.add(stranger, at(before))
      t.equal((await scene.host.ask('tcp', before, 80)).place, 'stranger')
      await load.more('ECONNREFUSED', 20)
      await network.add(web, { ports, ...at(next) })
      await load.more('web', 20)
      await network.delete(stranger)
    }
    await load.stop()
    t.comment(JSON.stringify([...load.outcomes]))
    t.equal(load.count('stranger'), 0)

    // The control: an entry that stays.
    await network.delete(web, { ports })
    await network.add(stranger, at('10.10.0.77'))
    using redirect = scene.host.inside(() => new Redirect())
    redirect.set('web', {
      on: [4],
      hostPort: 8080,
      count: 1,
      target: { ip: parseIp('10.10.0.77'), port: 80 },
    })
    const control = new Load(scene.host)
    await control.more('stranger')
    await control.stop()
  },
)

/** A host that a user without rights has made: a container behind a bridge, a daemon, and a port each way of asking. */
const OF_A_USER = `
mount -t tmpfs none /run; mkdir /run/netns; touch /run/netns/web
ip link set lo up
ip link add br0 type bridge; ip addr add 10.77.0.1/24 dev br0; ip link set br0 up
unshare --net=/run/netns/web true
ip link add veth0 type veth peer name veth1
nsenter --net=/run/netns/web sleep 60 &
until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do :; done
ip link set veth1 netns $!; ip link set veth0 master br0 up
nsenter --net=/run/netns/web sh -ec 'ip addr add 10.77.0.2/24 dev veth1; ip link set veth1 up; ip link set lo up'
nsenter --net=/run/netns/web socat TCP-LISTEN:80,fork,reuseaddr "SYSTEM:echo hello" &
"$@" >/run/log 2>&1 &
until grep -q ready /run/log; do sleep 0.1; done
"$1" publish --mode redirect 8080:80 netns:web
"$1" publish 8081:80 netns:web
for port in 8080 8081; do
  until socat -u TCP:127.0.0.1:$port - | grep hello; do sleep 0.1; done
done
"$1" ports --json
cat /run/log >&2
`

t.test('a daemon in a user namespace serves by the proxy, and says once which rights it takes', async t => {
  const { scene } = await open(t)
  const inside = [
    '--user',
    '--map-root-user',
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
  ]
  const daemon = [EXECUTABLE, 'daemon', ...REDIRECT_ON]
  const { stdout, stderr } = await scene.host.run(
    'unshare',
    ...inside,
    'sh',
    '-ec',
    OF_A_USER,
    'sh',
    ...daemon,
    {
      env: { ...NO_DAEMON, TSNET_NAT: 'nftables' },
    },
  )
  const told = /not permitted \(EPERM\): it takes CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN/
  t.equal(stderr.match(/the proxy alone serves clients on loopback/g)?.length, 1)
  t.match(stderr, told)
  const [said = ''] = stdout.split('\n').filter(line => line.startsWith('['))
  const ports = JSON.parse(said) as ListedPort[]
  t.match(ports, [
    { hostPort: 8080, state: 'serving', why: told, redirected: undefined, counters: { accepted: 1 } },
    { hostPort: 8081, state: 'serving', why: undefined, redirected: undefined, counters: { accepted: 1 } },
  ])
  for (const { by } of ports) t.notOk(by.includes('redirect'), 'and BY says who serves')
})

t.test('each right that it takes is missed, and nothing is left of the attempt', async t => {
  const { scene } = await open(t)
  const script = `
    const { Redirect } = await import(${JSON.stringify(resolve('dist/lib/src/redirect/redirect.js'))})
    const { readdirSync } = await import('node:fs')
    const begin = () => { try { return new Redirect() } catch (thrown) { return thrown.message } }
    const open = () => readdirSync('/proc/self/fd').length
    const [first, before] = [begin(), open()]
    begin()
    console.log(typeof first === 'string' ? first : 'begun', open() - before)
  `
  const begin = async (less: string) => {
    const rights = ['--bounding-set', less, '--inh-caps', less]
    const node = [process.execPath, '--input-type=module', '-e', script]
    return (await scene.host.run('setpriv', ...rights, ...node)).stdout.trim()
  }
  // Who may administer the machine may also load programs.
  for (const less of ['-sys_admin', '-bpf,-sys_admin', '-net_admin,-sys_admin'])
    t.match(await begin(less), /^the kernel does not let sockets be redirected: .*EPERM.* 0$/, less)
  t.match(await begin('-syslog'), /^begun [1-9]/, 'the control')
})
