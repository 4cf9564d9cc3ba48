/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web
 *       fe80::2                fe80::1 (on wan0 too)
 *
 * Ports on a link-local address of the host, which is one only together with its interface.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { DockerProxy, flags } from '../support/docker-proxy.ts'
import { BACKENDS, HOST, Scene } from '../support/scene.ts'

const TRANSPORTS = ['tcp', 'udp'] as const

async function open(backend: (typeof BACKENDS)[number]): Promise<Scene> {
  const scene = await Scene.open(backend, 'web')
  const { host, client } = scene
  await host.run('ip', 'link', 'add', 'wan0', 'up', 'type', 'veth', 'peer', 'name', 'wan1')
  for (const link of ['lan0', 'wan0'])
    await host.run('ip', 'address', 'add', 'fe80::1/64', 'dev', link, 'nodad')
  await client.run('ip', 'address', 'add', 'fe80::2/64', 'dev', 'eth0', 'nodad')
  await scene.remember()
  return scene
}

/** Who answers at fe80::1 of the host, asked by the client or by the host over an interface. */
async function answers(
  scene: Scene,
  place: 'client' | 'host',
  zone: string,
  port: number,
): Promise<string[]> {
  const all = await Promise.all(
    TRANSPORTS.map(async transport => {
      const address = `${transport === 'tcp' ? 'TCP6' : 'UDP6'}:[fe80::1%${zone}]:${port}`
      const { stdout } = await scene[place].run('socat', '-T1', '-t1', '-', address, {
        stdin: 'x\n',
        mayFail: true,
      })
      return stdout === '' ? 'nobody' : (JSON.parse(stdout) as { place: string }).place
    }),
  )
  return [...new Set(all)]
}

/** socat waits for a second, and the first client of a daemon may be answered later. */
const isAnswered = (...[scene, place, zone, port, by]: [...Parameters<typeof answers>, string]) =>
  waitFor(async () => (await answers(scene, place, zone, port)).join() === by, {
    what: `${by} to answer at ${zone}`,
  })

for (const backend of BACKENDS) {
  t.test(`${backend}: a port is published on the link-local address of one interface`, async t => {
    const scene = await open(backend)
    t.teardown(() => scene.close())
    const network = scene.network('front', 10)
    await network.add(scene.get('web'))
    const tsnet = new Command(scene.host, backend)
    const daemon = await tsnet.daemon()
    const words = TRANSPORTS.map(each => `[fe80::1%lan0]:8080:80/${each}`)
    t.match((await tsnet.run('publish', ...words, 'web')).stdout, /^\[fe80::1%lan0\]:8080\/tcp -> web:80$/m)
    await isAnswered(scene, 'client', 'eth0', 8080, 'web')
    await isAnswered(scene, 'host', 'lan0', 8080, 'web')
    t.same(await answers(scene, 'host', 'wan0', 8080), ['nobody'], 'the same address of another interface')
    await t.rejects(scene.client.ask('tcp', HOST[6], 8080), { code: 'ECONNREFUSED' })

    // On the other interface it is another address.
    await tsnet.run('publish', '[fe80::1%wan0]:8080:80', 'web')
    t.match(await tsnet.try('publish', '[::]:8080:80', 'web'), { code: 1, stderr: /already published/ })
    await tsnet.run('unpublish', '[fe80::1%wan0]:8080')
    for (const [word, code, reason] of [
      ['[fe80::1]:8081:80', 2, /"fe80::1" is link-local: it needs the interface/],
      ['[fe80::1%none0]:8081:80', 1, /fe80::1%none0: there is no interface none0/],
      ['[fe80::9%lan0]:8081:80', 1, /\[fe80::9%lan0\]:8081\/tcp is not an address of this host/],
      ['[fd50::1%lan0]:8081:80', 2, /is not link-local/],
    ] as const) {
      t.match(await tsnet.try('publish', word, 'web'), { code, stderr: reason }, word)
    }
    t.match(await tsnet.try('publish', '--mode', 'nat', '[fe80::1%lan0]:8081:80', 'web'), {
      code: 2,
      stderr: /--mode nat: the kernel does not lead from fe80::1%lan0 to a container/,
    })
    await tsnet.run('unpublish', ...words)
    t.same(await answers(scene, 'client', 'eth0', 8080), ['nobody'])
    await network.delete(scene.get('web'))
    await daemon.stop('SIGTERM')
    t.same(await scene.residue(line => !/^connection host /.test(line)), [])
  })

  t.test(`${backend}: hostIP of CNI may be one, served by the daemon; without it ADD says so`, async t => {
    const scene = await open(backend)
    t.teardown(() => scene.close())
    const network = scene.network('front', 10)
    const ports = TRANSPORTS.map(protocol => ({
      hostPort: 8080,
      containerPort: 80,
      protocol,
      hostIP: 'fe80::1%lan0',
    }))
    await t.rejects(
      network.add(scene.get('web'), { ports }),
      /the kernel leads nothing from fe80::1 .*daemon/,
    )
    const daemon = await new Command(scene.host, backend).daemon()
    const result = await network.add(scene.get('web'), { ports })
    await isAnswered(scene, 'client', 'eth0', 8080, 'web')
    await network.check(scene.get('web'), result, { ports })
    await network.delete(scene.get('web'), { ports })
    t.same(await answers(scene, 'client', 'eth0', 8080), ['nobody'])
    await daemon.stop('SIGTERM')
    t.same(await scene.residue(line => !/^connection host /.test(line)), [])
  })
}

for (const implementation of ['tsnet', 'script'] as const) {
  t.test(`docker-proxy (${implementation}): -host-ip names the interface`, async t => {
    const scene = await open('iptables')
    t.teardown(() => scene.close())
    const { host } = scene
    for (const transport of TRANSPORTS) host.listen(transport, 80, '127.0.0.2')
    const asked = (hostIp: string, proto = 'tcp') => flags({ proto, hostIp, to: '127.0.0.2' })
    for (const proto of TRANSPORTS) await DockerProxy.up(host, implementation, asked('fe80::1%lan0', proto))
    await isAnswered(scene, 'client', 'eth0', 8080, 'host')
    t.same(await answers(scene, 'host', 'wan0', 8080), ['nobody'])
    for (const [hostIp, words] of [
      ['fe80::1', /^1\nlisten tcp6 \[fe80::1\]:8080: fe80::1 is link-local: it needs the interface/],
      ['fe80::1%none0', /^1\nfe80::1%none0: there is no interface none0/],
    ] as const) {
      const proxy = new DockerProxy(host, implementation, asked(hostIp))
      t.match(await proxy.status(), words)
      t.match(await proxy.ended(), { code: 1 })
    }
  })
}
