/**
 * Addresses to which a socket can be bound and on which nobody is served: of a group, of all hosts of a subnet, of a
 * link that is not said. Whoever asks for them is told, by every door, before anything is changed.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { DockerProxy, flags } from '../support/docker-proxy.ts'
import { BACKENDS, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const ADDRESSES = [
  ['224.0.0.1', /224\.0\.0\.1"? is a multicast address/],
  ['255.255.255.255', /255\.255\.255\.255"? is a broadcast address/],
  ['192.168.50.255', /192\.168\.50\.255"? is a broadcast address/],
  ['ff02::1', /ff02::1"? is a multicast address/],
  ['fe80::1', /fe80::1"? is link-local/],
] as const

for (const backend of BACKENDS) {
  t.test(`${backend}: an address of many hosts, or of an unnamed link, is refused by every door`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    const { host } = scene
    const front = scene.network('front', 10)
    const portmap = scene.dropIn('portmap', { name: 'front', capabilities: { portMappings: true } })
    const prevResult = { cniVersion: '1.1.0', interfaces: [], ips: [{ address: '10.10.0.2/16' }] }
    const tsnet = new Command(host, backend)
    const daemon = await tsnet.daemon()
    await scene.remember()
    for (const [hostIP, why] of ADDRESSES) {
      const ports = [{ hostPort: 8080, containerPort: 80, hostIP }]
      const error = { code: 7, message: why }
      await t.rejects(front.add(scene.get('web'), { ports }), error, `tsnet, ${hostIP}`)
      await t.rejects(portmap.add(scene.get('web'), { ports, prevResult }), error, `portmap, ${hostIP}`)
      const spec = hostIP.includes(':') ? `[${hostIP}]:8080:80` : `${hostIP}:8080:80`
      t.match(await tsnet.try('publish', spec, 'netns:web'), { stderr: why }, `publish, ${hostIP}`)
    }
    t.same(await tsnet.ports(), [])
    t.strictSame(await scene.residue(), [])
    await daemon.stop('SIGTERM')
    const control = host.start('socat', 'TCP-LISTEN:9090,bind=192.168.50.255', '-')
    const listens = async () => (await host.run('ss', '-tlnH')).stdout.includes('192.168.50.255:9090')
    await waitFor(listens, { what: 'control: the kernel takes it' })
    await control.stop('SIGKILL')
  })
}

t.test('docker-proxy says so too', async t => {
  const scene = await Scene.open('iptables')
  t.teardown(() => scene.close())
  for (const [address, why] of ADDRESSES) {
    const up = DockerProxy.up(scene.host, 'tsnet', flags({ hostIp: address, to: '127.0.0.2', port: 81 }))
    await t.rejects(up, { message: why }, address)
  }
})
