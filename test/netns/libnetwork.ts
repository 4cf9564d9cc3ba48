/**
 * Docker's remote drivers, on a real kernel, with a dockerd that is played.
 *
 *     client eth0 ───── lan0 host ─── ts-front ── a, b
 */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { Command } from '../support/daemon.ts'
import { PlayedDocker } from '../support/played-docker.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

async function begin(t: Test, backend: NatBackend, ...containers: string[]) {
  const scene = await Scene.open(backend, ...containers)
  t.teardown(() => scene.close())
  await scene.host.tmpfs('/var/lib/tsnet')
  await scene.remember()
  const tsnet = new Command(scene.host, backend)
  const daemon = await tsnet.daemon()
  const docker = await PlayedDocker.start(scene.host)
  return { scene, tsnet, daemon, docker }
}

/** Folders that are there once anybody has made a network, or attached something by hand. */
const isOdd = (line: string) => !/^file (\/etc\/cni\/net\.d|\/var\/lib\/cni\/results) /.test(line)

for (const backend of BACKENDS) {
  t.test(
    `${backend}: containers of Docker are on a network as all others are, and leave nothing`,
    async t => {
      const { scene, tsnet, daemon, docker } = await begin(t, backend, 'a', 'b', 'c')
      const [a, b, c] = [scene.get('a'), scene.get('b'), scene.get('c')]
      const front = await docker.network({ 'tsnet.name': 'front' })
      const listed = JSON.parse((await tsnet.run('network', 'ls', '--json')).stdout) as object[]
      t.match(listed, [{ name: 'front', bridge: 'ts-front', subnets: [front.subnet] }])

      const [onA, onB] = [await docker.run(front, a), await docker.run(front, b)]
      const addressOf = ({ address }: { address: string }) => address.split('/')[0] ?? ''
      t.match(await a.ask('tcp', addressOf(onB), ANSWERS), { place: 'b', peer: addressOf(onA) })
      t.match(await a.ask('tcp', CLIENT[4], ANSWERS), { peer: HOST[4] }, 'and leaves with the host’s address')

      // One that no Docker knows.
      await tsnet.run('attach', 'front', 'netns:c')
      const seen = async () =>
        JSON.parse((await tsnet.run('network', 'inspect', 'front')).stdout)[0].attachments
      await waitFor(async () => (await seen()).every(({ alive }: { alive: boolean }) => alive), {
        what: 'all to be seen',
      })
      t.equal((await seen()).length, 3)
      t.match(await c.ask('tcp', addressOf(onA), ANSWERS), { place: 'a' })
      await tsnet.run('detach', 'front', 'netns:c')

      await docker.call('NetworkDriver.ProgramExternalConnectivity', {
        NetworkID: onA.network,
        EndpointID: onA.id,
        Options: {
          'com.docker.network.portmap': [
            { Proto: 6, IP: '', Port: ANSWERS, HostIP: '', HostPort: 8080, HostPortEnd: 8080 },
            { Proto: 17, IP: '', Port: ANSWERS, HostIP: HOST[4], HostPort: 8081, HostPortEnd: 8081 },
          ],
        },
      })
      t.match(await scene.client.ask('tcp', HOST[4], 8080), { place: 'a', peer: CLIENT[4] })
      t.match(await scene.client.ask('udp', HOST[4], 8081), { place: 'a', peer: CLIENT[4] })
      t.match(await scene.host.ask('tcp', '127.0.0.1', 8080), { place: 'a' })
      t.match(await a.ask('tcp', HOST[4], 8080), { place: 'a' }, 'and it reaches itself')
      t.match(await b.ask('tcp', HOST[4], 8080), { place: 'a' })
      const ports = JSON.parse((await tsnet.run('ports', '--all', '--json')).stdout) as object[]
      t.match(ports, [
        { hostPort: 8080, network: 'front' },
        { hostPort: 8081, network: 'front' },
      ])
      t.match((await tsnet.try('publish', '8080:80', 'netns:c')).stderr, /8080.* is already published for/)
      const faults = (await tsnet.faults()).filter(each => !/there is no plugin "tsnet" in/.test(each))
      t.strictSame(faults, [], 'and nothing is wrong with the host')

      await docker.leave(onA)
      await t.rejects(scene.client.ask('tcp', HOST[4], 8080, { withinMs: 500 }))
      await docker.leave(onB)
      await docker.removeNetwork(front)
      await docker.kill()
      await daemon.stop()
      t.strictSame(await scene.residue(isOdd), [])
    },
  )
}

t.test('what Docker says by `--ip` and `--mac-address` is so, and nobody else gets that address', async t => {
  const { scene, docker, tsnet } = await begin(t, 'nftables', 'a', 'b')
  const front = await docker.network(
    { 'tsnet.name': 'front' },
    { pool: '10.77.0.0/24', gateway: '10.77.0.9' },
  )
  const mac = '02:42:0a:4d:00:07'
  const fixed = await docker.endpoint(front, { ip: '10.77.0.2', mac })
  t.match(fixed, { address: '10.77.0.2/24', mac })
  t.match(await docker.join(fixed, scene.get('a')), { Gateway: '10.77.0.9' })
  const address = { PoolID: front.pool, Options: {} }
  const taken = await docker.try('IpamDriver.RequestAddress', { ...address, Address: '10.77.0.2' })
  t.match(taken, { status: 500, body: { Err: /10\.77\.0\.2 is not available/ } })
  const next = await docker.call('IpamDriver.RequestAddress', { ...address, Address: '' })
  t.equal(next.Address, '10.77.0.3/24')
  const joined = await tsnet.run('attach', '--json', 'front', 'netns:b')
  t.match(joined.stdout, /10\.77\.0\.4\/24/, 'what was suggested to Docker is not given at once')
})

t.test('a list that is there is joined, with the addresses that it gives', async t => {
  const { scene, docker, tsnet } = await begin(t, 'nftables', 'a', 'b')
  await tsnet.run('network', 'create', 'front', '--subnet', '10.78.0.0/24', '--names')
  const front = await docker.network({ 'tsnet.network': 'front' }, { ipam: { 'tsnet.network': 'front' } })
  t.equal(front.subnet, '10.78.0.0/24')
  await tsnet.run('attach', 'front', 'netns:b')
  const onA = await docker.run(front, scene.get('a'))
  t.equal(onA.address, '10.78.0.3/24')
  t.match(await scene.get('a').ask('tcp', '10.78.0.2', ANSWERS), { place: 'b' })
  await docker.leave(onA)
  await docker.removeNetwork(front)
  t.match((await tsnet.run('network', 'ls')).stdout, /^front /m, 'it was not Docker’s to remove')
  // Without the option, Docker takes another subnet.
  const odd = docker.network({ 'tsnet.network': 'front' })
  await t.rejects(odd, /its subnet is 10\.78\.0\.0\/24, and Docker chose .*--ipam-opt tsnet\.network=front/)
})

t.test('a network that Docker has is removed there, or with --force', async t => {
  const { docker, tsnet } = await begin(t, 'nftables')
  const front = await docker.network({ 'tsnet.name': 'front' })
  const command = new RegExp(`docker network rm ${front.id.slice(0, 12)}`)
  t.match(await tsnet.try('network', 'rm', 'front'), { code: 1, stderr: command })
  t.match(await tsnet.try('network', 'rm', 'front', '--dry-run'), { code: 1, stderr: command })
  await tsnet.run('network', 'rm', '--force', 'front')
  await docker.removeNetwork(front)

  await tsnet.run('network', 'create', 'front')
  const joined = await docker.network({ 'tsnet.network': 'front' }, { ipam: { 'tsnet.network': 'front' } })
  const other = new RegExp(`docker network rm ${joined.id.slice(0, 12)}`)
  t.match(await tsnet.try('network', 'rm', 'front'), { code: 1, stderr: other }, 'one that it joined')
  await docker.removeNetwork(joined)
  await tsnet.run('network', 'rm', 'front')
})

t.test('a network that others are on outlives Docker’s, which is told nothing of it', async t => {
  const { docker, tsnet } = await begin(t, 'nftables', 'b')
  const front = await docker.network({ 'tsnet.name': 'front' })
  await tsnet.run('attach', 'front', 'netns:b')
  await docker.removeNetwork(front)
  t.match((await tsnet.run('network', 'ls')).stdout, /^front /m)
  await tsnet.run('detach', 'front', 'netns:b')
  await tsnet.run('network', 'rm', 'front')
})

t.test(
  'endpoints end unseen: with who asked, with their container, or when their address is another’s',
  async t => {
    const { scene, docker, tsnet, daemon } = await begin(t, 'nftables', 'a', 'b')
    const front = await docker.network({ 'tsnet.name': 'front' })
    const lost = await docker.endpoint(front)
    const onA = await docker.run(front, scene.get('a'))
    const again = await PlayedDocker.start(scene.host)
    await docker.kill()
    const attachments = async (): Promise<{ containerId: string }[]> =>
      JSON.parse((await tsnet.run('network', 'inspect', 'front')).stdout)[0].attachments
    const ids = async () => (await attachments()).map(({ containerId }) => containerId).sort()
    await waitFor(async () => !(await ids()).includes(lost.id), {
      what: 'the endpoint of nobody to go',
      withinMs: 60_000,
    })
    t.same(await ids(), [onA.id], 'the container that runs has its network')
    t.match(await scene.host.ask('tcp', onA.address.split('/')[0] ?? '', ANSWERS), { place: 'a' })

    await scene.get('a').remove()
    await waitFor(async () => (await ids()).length === 0, {
      what: 'its endpoint to go with it',
      withinMs: 60_000,
    })
    // A dockerd that has forgotten an endpoint gives its address to the next one.
    const first = await again.endpoint(front)
    const second = { NetworkID: front.id, EndpointID: 'f'.repeat(64), Options: {} }
    await again.call('NetworkDriver.CreateEndpoint', { ...second, Interface: { Address: first.address } })
    t.same(await ids(), ['f'.repeat(64)])
    await again.call('NetworkDriver.DeleteEndpoint', second)
    await again.removeNetwork(front)
    await again.kill()
    await daemon.stop()
    const isOfHost = (line: string) => isOdd(line) && !/^\w+ (a|\/run\/netns\/a) /.test(line)
    t.strictSame(await scene.residue(isOfHost), [])
  },
)

t.test(
  'calls come twice, out of order, for what nobody knows, and to a daemon that was replaced or killed',
  async t => {
    const { scene, docker, tsnet, daemon } = await begin(t, 'nftables', 'a')
    const front = await docker.network({ 'tsnet.name': 'front' })
    const unknown = { NetworkID: front.id, EndpointID: '0'.repeat(64), Options: {} }
    for (const call of ['RevokeExternalConnectivity', 'Leave', 'DeleteEndpoint', 'DeleteEndpoint'])
      await docker.call(`NetworkDriver.${call}`, unknown)
    for (const call of ['Leave', 'DeleteEndpoint', 'DeleteNetwork'])
      await docker.call(`NetworkDriver.${call}`, { NetworkID: '1'.repeat(64), EndpointID: '0'.repeat(64) })
    t.match(await docker.try('NetworkDriver.Join', { ...unknown, SandboxKey: '/run/netns/a' }), {
      status: 500,
    })

    const onA = await docker.endpoint(front)
    const same = {
      NetworkID: front.id,
      EndpointID: onA.id,
      Interface: { Address: onA.address, MacAddress: onA.mac },
    }
    await docker.call('NetworkDriver.CreateEndpoint', same)
    await tsnet.daemon('--replace')
    await daemon.finished
    await docker.join(onA, scene.get('a'))
    t.match(await scene.host.ask('tcp', onA.address.split('/')[0] ?? '', ANSWERS), { place: 'a' })
    const [running] = scene.host.processes().filter(({ command }) => command.includes('daemon'))
    await scene.host.run('kill', '-9', String(running?.pid))
    const next = await tsnet.daemon()
    const port = { Proto: 6, Port: ANSWERS, HostPort: 8080, HostPortEnd: 8080 }
    const program = {
      NetworkID: front.id,
      EndpointID: onA.id,
      Options: { 'com.docker.network.portmap': [port] },
    }
    for (const _ of [1, 2]) await docker.call('NetworkDriver.ProgramExternalConnectivity', program)
    t.match(await scene.client.ask('tcp', HOST[4], 8080), { place: 'a' })
    for (const _ of [1, 2]) await docker.leave(onA)
    for (const _ of [1, 2]) await docker.removeNetwork(front)
    await docker.kill()
    await next.stop()
    t.strictSame(await scene.residue(isOdd), [])
  },
)

t.test(
  'who is not root, and what is huge, no POST or no call, hears so in words of the protocol',
  async t => {
    const { scene, docker, daemon } = await begin(t, 'nftables')
    const { host } = scene
    const socket = '/run/tsnet/docker.sock'
    const refused = (status: number, Err: RegExp) => ({ status, body: { Err } })
    t.match(
      await docker.try('NetworkDriver.Join', 'x'.repeat(3 << 20)),
      refused(413, /at most 1048576 bytes/),
    )
    t.match(await docker.try('NetworkDriver.Join', '{"NetworkID":'), refused(500, /the request/))
    t.match(await docker.try('NetworkDriver.Join', '[]'), refused(500, /NetworkID|object/))
    t.match(await docker.try('NetworkDriver.Joyn', {}), refused(404, /does not know the call/))
    const raw = async (method: string, ...as: string[]) => {
      const call = `printf '${method} /Plugin.Activate HTTP/1.0\\r\\n\\r\\n'`
      const { stdout } = await host.run(
        'sh',
        '-c',
        `${call} | ${[...as, 'socat', '-', `UNIX-CONNECT:${socket}`].join(' ')}`,
      )
      return stdout
    }
    t.match(await raw('POST'), /^HTTP\/1\.1 200 [\s\S]*NetworkDriver/, 'the control')
    t.match(await raw('GET'), /^HTTP\/1\.1 405 [\s\S]*\{"Err":"tsnet: calls of a driver are POST"\}/)
    await host.run('chmod', '711', '/run/tsnet')
    await host.run('chmod', '666', socket)
    const user = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups']
    t.match(await raw('POST', ...user), /^HTTP\/1\.1 403 [\s\S]*only root may call this driver/)
    await host.run('chmod', '700', '/run/tsnet')
    await docker.kill()
    await daemon.stop()
    t.strictSame(await scene.residue(isOdd), [])
  },
)
