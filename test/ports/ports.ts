import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { parseIp } from '../../src/model/address/address.ts'
import type { NatIntent } from '../../src/model/network.ts'
import type { PortMapping } from '../../src/model/port-mapping.ts'
import { asHeld, portsToServe } from '../../src/network/shared-ports.ts'
import { claimPorts, releasePorts } from '../../src/ports/ports.ts'
import { writeEntry } from '../../src/records/records.ts'
import { natOf, tagOf, undertaking } from '../support/records.ts'

const tcp = (hostPort: number, rest: Partial<PortMapping> = {}): PortMapping => ({
  protocol: 'tcp',
  hostPort,
  containerPort: 80,
  count: 1,
  ...rest,
})

/** A run directory of the test's own with one entry for each of these containers. */
function withOwners(t: { testdir(): string }, ...names: string[]): string {
  const folder = t.testdir()
  process.env.TSNET_RUN_DIR = folder
  for (const name of names) attach(name)
  return folder
}

function attach(containerId: string, network = 'front', ino = 4_026_530_000): void {
  const owner = tagOf(containerId, network)
  const netns = { path: `/run/netns/${containerId}`, dev: 4, ino }
  const attachment = undertaking(containerId, { network, netns, nat: natOf(owner) })
  writeEntry(owner, { state: 'attaching', attachment })
}

const [first, second] = [tagOf('web'), tagOf('web', 'back')]

/** A container on two networks, and another. */
function withTwoNetworks(t: { testdir(): string }): void {
  withOwners(t, 'other', 'web')
  attach('web', 'back')
}

const rules = 'nftables'
const intentOf = (owner: string, ...ports: PortMapping[]): NatIntent =>
  ({ owner, addresses: ['10.1.0.2/24'], ports }) as unknown as NatIntent
/** What an attachment's rules lead to it, as first port and count; all: it has everything. */
function held(owner: string, ...ports: PortMapping[]): [number, number][] | 'all' {
  const { held } = asHeld(owner, { backend: rules, intent: intentOf(owner, ...ports) })
  return held === undefined ? 'all' : held.map(({ hostPort, count }) => [hostPort, count])
}

t.test('a port that another container publishes is refused, naming that container', async t => {
  withOwners(t, 'web', 'api')
  await claimPorts(tagOf('web'), [tcp(31001, { count: 300 })])
  await t.rejects(claimPorts(tagOf('api'), [tcp(31200)]), {
    code: 'conflict',
    message: /port 31200\/tcp is already published for container web on network front/,
  })
  await claimPorts(tagOf('api'), [tcp(31200, { protocol: 'udp' }), tcp(31301)])
})

t.test('a refused claim leaves no trace', async t => {
  const folder = withOwners(t, 'web', 'api')
  await claimPorts(tagOf('web'), [tcp(31001)])
  await t.rejects(claimPorts(tagOf('api'), [tcp(31002), tcp(31001)]))
  await releasePorts(tagOf('web'), [tcp(31001)])
  t.same(readdirSync(folder), ['attachments'])
})

t.test('one address may be published beside another, but not beside all of them', async t => {
  withOwners(t, 'one', 'two', 'all')
  await claimPorts(tagOf('one'), [tcp(31003, { hostIp: parseIp('127.0.0.1') })])
  await claimPorts(tagOf('two'), [tcp(31003, { hostIp: parseIp('127.0.0.2') })])
  await t.rejects(claimPorts(tagOf('all'), [tcp(31003)]), { code: 'conflict' })
})

t.test('a claim of an owner that is no more is taken over', async t => {
  withOwners(t, 'web')
  await claimPorts(tagOf('gone'), [tcp(31004)])
  await claimPorts(tagOf('web'), [tcp(31004)])
  await t.rejects(claimPorts(tagOf('gone'), [tcp(31004)]), { code: 'conflict' })
})

t.test('of fifty that ask for one port at once, exactly one gets it', async t => {
  const owners = Array.from({ length: 50 }, (_, i) => `racer${i}`)
  withOwners(t, ...owners)
  const outcomes = await Promise.allSettled(owners.map(owner => claimPorts(tagOf(owner), [tcp(31005)])))
  t.equal(outcomes.filter(outcome => outcome.status === 'fulfilled').length, 1)
})

t.test('a port that a process listens on is refused, naming the process', async t => {
  withOwners(t, 'web')
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  await t.rejects(claimPorts(tagOf('web'), [tcp(port)]), {
    code: 'conflict',
    message: new RegExp(
      `port ${port}/tcp is already in use by \\S+ \\(pid ${process.pid}\\); choose another`,
    ),
  })
  await claimPorts(tagOf('web'), [tcp(port, { protocol: 'udp' })])
})

/** Listens on ports, with a word in its command line by which it is known, and says when it does. */
const KEEPER = `
  const [first, count] = process.argv.slice(1).map(Number)
  let left = count
  for (let i = 0; i < count; i++)
    require('node:net').createServer().listen(first + i, () => --left === 0 && console.log('ready'))`

t.test(
  'ports on which somebody listens for the container are its own, and are looked up at once',
  async t => {
    withOwners(t, 'web')
    const keep = async (first: number, count: number, word: string) => {
      const child = spawn(process.execPath, ['-e', KEEPER, String(first), String(count), word])
      t.teardown(() => child.kill('SIGKILL'))
      await once(child.stdout, 'data')
    }
    await keep(32000, 10, 'web')
    await keep(32100, 500, 'web')
    await keep(32600, 1, 'other')
    const reads = () => Number(/^syscr: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])
    const readsFor = async (hostPort: number, count: number) => {
      const before = reads()
      await claimPorts(tagOf('web'), [tcp(hostPort, { count })], { containerId: 'web' })
      return reads() - before
    }
    await readsFor(32000, 10) // what is read once
    const few = await readsFor(32000, 10)
    const many = await readsFor(32100, 500)
    t.ok(many - few < 100, `${many} reads beside ${few}`)
    const claim = (options: { containerId?: string }) =>
      claimPorts(tagOf('web'), [tcp(32100, { count: 501 })], options)
    await t.rejects(claim({ containerId: 'web' }), {
      message: /port 32600\/tcp is already in use by node \(pid/,
    })
    await t.rejects(claim({}), { message: /port 32100\/tcp is already in use by node \(pid/ })
  },
)

t.test('a UDP port that a process has bound is refused', async t => {
  withOwners(t, 'web')
  const socket = createSocket('udp4')
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  t.teardown(() => socket.close())
  await t.rejects(claimPorts(tagOf('web'), [tcp(socket.address().port, { protocol: 'udp' })]), {
    code: 'conflict',
  })
})

t.test('an address that is not of this host is refused', async t => {
  withOwners(t, 'web')
  await t.rejects(claimPorts(tagOf('web'), [tcp(31006, { hostIp: parseIp('192.0.2.1') })]), {
    code: 'invalid-config',
    message: 'hostIP 192.0.2.1 of port 192.0.2.1:31006/tcp is not an address of this host',
  })
})

t.test('attachments of one container stand in line for a port; nobody else does', async t => {
  withTwoNetworks(t)
  const ports = [tcp(31010), tcp(31011, { protocol: 'udp' })]
  await claimPorts(first, ports, { rules })
  t.equal(held(first, ...ports), 'all')
  await claimPorts(second, ports, { rules })
  t.same(held(first, ...ports), [
    [31010, 1],
    [31011, 1],
  ])
  t.same(held(second, ...ports), [])
  t.same(portsToServe(second, ports), [])
  await t.rejects(claimPorts(tagOf('other'), ports, { rules }), {
    code: 'conflict',
    message: /port 31010\/tcp is already published for container \S+ on network front/,
  })
  await releasePorts(first, ports)
  t.equal(held(second, ...ports), 'all')
  t.same(portsToServe(second, ports), ports)
  await releasePorts(second, ports)
  await claimPorts(tagOf('other'), ports)
})

t.test('a container of the same id in another namespace is another one', async t => {
  withTwoNetworks(t)
  attach('web', 'back', 4_026_530_001)
  await claimPorts(first, [tcp(31012)], { rules })
  await t.rejects(claimPorts(second, [tcp(31012)], { rules }), { code: 'conflict' })
})

t.test('of lists that differ each attachment has what the other does not', async t => {
  withTwoNetworks(t)
  const [low, high] = [tcp(31200, { count: 100 }), tcp(31250, { count: 100 })]
  await claimPorts(first, [low], { rules })
  await claimPorts(second, [high], { rules })
  t.same(held(second, high), [[31300, 50]])
  t.match(portsToServe(second, [high]), [{ hostPort: 31300, containerPort: 130, count: 50 }])
})

t.test('a port of one address stands beside that of all as a rule, but not as a socket', async t => {
  withTwoNetworks(t)
  const one = tcp(31020, { hostIp: parseIp('127.0.0.1') })
  await claimPorts(first, [one], { rules })
  await claimPorts(second, [tcp(31020)], { rules })
  t.same(held(second, tcp(31020)), [[31020, 1]])
  t.same(portsToServe(second, [tcp(31020)]), [])
  await releasePorts(first, [one])
  await claimPorts(first, [one], { rules })
  t.same(held(first, one), [], 'behind that of all')
})

t.test('who listens on a port that the container has already is no obstacle', async t => {
  withTwoNetworks(t)
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  await t.rejects(claimPorts(second, [tcp(port)], { rules }), { code: 'conflict' })
  await claimPorts(first, [tcp(port)], { rules, probe: false })
  await claimPorts(second, [tcp(port)], { rules })
})
