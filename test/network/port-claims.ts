import { createSocket } from 'node:dgram'
import { readdirSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { parseIp } from '../../src/model/address.ts'
import type { Undertaking } from '../../src/model/network.ts'
import type { PortMapping } from '../../src/model/port-mapping.ts'
import { claimPorts, releasePorts } from '../../src/network/port-claims.ts'
import { writeEntry } from '../../src/network/state.ts'

const tcp = (hostPort: number, rest: Partial<PortMapping> = {}): PortMapping => ({
  protocol: 'tcp',
  hostPort,
  containerPort: 80,
  count: 1,
  ...rest,
})

/** A run directory of the test's own with one entry an owner. */
function withOwners(t: { testdir(): string }, ...owners: string[]): string {
  const folder = t.testdir()
  process.env.TSNET_RUN_DIR = folder
  for (const containerId of owners) {
    const attachment = { network: 'front', containerId, ports: [] } as unknown as Undertaking
    writeEntry(containerId, { state: 'attaching', attachment })
  }
  return folder
}

t.test('a port that another container publishes is refused, naming that container', async t => {
  withOwners(t, 'web', 'api')
  await claimPorts('web', [tcp(31001, { count: 300 })])
  await t.rejects(claimPorts('api', [tcp(31200)]), {
    code: 'conflict',
    message: /port 31200\/tcp is already published for container web on network front/,
  })
  await claimPorts('api', [tcp(31200, { protocol: 'udp' }), tcp(31301)])
})

t.test('a refused claim leaves no trace', async t => {
  const folder = withOwners(t, 'web', 'api')
  await claimPorts('web', [tcp(31001)])
  await t.rejects(claimPorts('api', [tcp(31002), tcp(31001)]))
  await releasePorts('web', [tcp(31001)])
  t.same(readdirSync(folder), ['attachments'])
})

t.test('one address may be published beside another, but not beside all of them', async t => {
  withOwners(t, 'one', 'two', 'all')
  await claimPorts('one', [tcp(31003, { hostIp: parseIp('127.0.0.1') })])
  await claimPorts('two', [tcp(31003, { hostIp: parseIp('127.0.0.2') })])
  await t.rejects(claimPorts('all', [tcp(31003)]), { code: 'conflict' })
})

t.test('a claim of an owner that is no more is taken over', async t => {
  withOwners(t, 'web')
  await claimPorts('gone', [tcp(31004)])
  await claimPorts('web', [tcp(31004)])
  await t.rejects(claimPorts('gone', [tcp(31004)]), { code: 'conflict' })
})

t.test('of fifty that ask for one port at once, exactly one gets it', async t => {
  const owners = Array.from({ length: 50 }, (_, i) => `racer${i}`)
  withOwners(t, ...owners)
  const outcomes = await Promise.allSettled(owners.map(owner => claimPorts(owner, [tcp(31005)])))
  t.equal(outcomes.filter(outcome => outcome.status === 'fulfilled').length, 1)
})

t.test('a port that a process listens on is refused, naming the process', async t => {
  withOwners(t, 'web')
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  await t.rejects(claimPorts('web', [tcp(port)]), {
    code: 'conflict',
    message: new RegExp(
      `port ${port}/tcp is already in use by \\S+ \\(pid ${process.pid}\\); choose another`,
    ),
  })
  await claimPorts('web', [tcp(port, { protocol: 'udp' })])
})

t.test('a UDP port that a process has bound is refused', async t => {
  withOwners(t, 'web')
  const socket = createSocket('udp4')
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  t.teardown(() => socket.close())
  await t.rejects(claimPorts('web', [tcp(socket.address().port, { protocol: 'udp' })]), { code: 'conflict' })
})

t.test('an address that is not of this host is refused', async t => {
  withOwners(t, 'web')
  await t.rejects(claimPorts('web', [tcp(31006, { hostIp: parseIp('192.0.2.1') })]), {
    code: 'invalid-config',
    message: 'hostIP 192.0.2.1 of port 192.0.2.1:31006/tcp is not an address of this host',
  })
})
