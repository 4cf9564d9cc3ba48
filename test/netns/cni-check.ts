/**
 * What CNI 1.1.0 asks of CHECK and only a kernel can tell; test/cni/spec.ts asks the rest. The
 * section in a name is that of the spec's text.
 */

import t from 'tap'
import { linkNames } from '../support/kernel-links.ts'
import type { Result } from '../support/libcni.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const open = async (...containers: string[]) => {
  const scene = await Scene.open('nftables', ...containers)
  t.teardown(() => scene.close())
  return { scene, front: scene.network('front', 10) }
}

/** Things that go wrong with an attachment after ADD, and what CHECK says of them. */
const harms: Record<string, [by: (scene: Scene) => Promise<unknown>, says: RegExp]> = {
  'an interface that is gone': [scene => scene.get('a').run('ip', 'link', 'delete', 'eth0'), /eth0/],
  'an interface that is down': [
    scene => scene.get('a').run('ip', 'link', 'set', 'eth0', 'down'),
    /eth0.*(down|up)/,
  ],
  'an address that is gone': [
    scene => scene.get('a').run('sh', '-c', 'ip address flush dev eth0 scope global to 10.0.0.0/8'),
    /10\.10\.0\.\d+/,
  ],
  'a route that is gone': [
    scene => scene.get('a').run('ip', '-6', 'route', 'delete', 'default'),
    /route|::\/0/,
  ],
  'another MAC': [
    scene => scene.get('a').run('ip', 'link', 'set', 'eth0', 'address', '02:00:00:00:00:99'),
    /MAC|02:00/,
  ],
  'a host side that left the bridge': [
    async scene => {
      const host = (await linkNames(scene.host)).find(name => name.startsWith('veth')) ?? ''
      return scene.host.run('ip', 'link', 'set', host, 'nomaster')
    },
    /br-front|master|bridge/,
  ],
  'a lease that is gone': [
    scene => scene.host.run('sh', '-c', 'rm /var/lib/cni/networks/front/10.*'),
    /10\.10\.0\.\d+/,
  ],
  'rules that are gone': [scene => scene.host.run('nft', 'flush', 'ruleset'), /rule|nft|table|masquerade/],
  'a limit that is gone': [
    async scene => {
      const host = (await linkNames(scene.host)).find(name => name.startsWith('veth')) ?? ''
      return scene.host.run('tc', 'qdisc', 'delete', 'dev', host, 'root')
    },
    /limit|qdisc|bucket|tbf|bit/,
  ],
}

for (const [what, [harm, says]] of Object.entries(harms)) {
  t.test(`section 2, CHECK: ${what} is an error`, async t => {
    const { scene, front } = await open('a')
    const bandwidth = { ingressRate: 1e8, ingressBurst: 1e6, egressRate: 1e8, egressBurst: 1e6 }
    const options = {
      config: { runtimeConfig: { bandwidth, portMappings: [{ hostPort: 8001, containerPort: 80 }] } },
    }
    const result = await front.add(scene.get('a'), options)
    await front.check(scene.get('a'), result, options)
    await harm(scene)
    await t.rejects(front.check(scene.get('a'), result, options), { code: 102, message: says })
    await front.delete(scene.get('a'), options)
    t.strictSame(await scene.residue(), [])
  })
}

t.test("section 2, CHECK: iptables' rules that are gone are an error", async t => {
  const scene = await Scene.open('iptables', 'a')
  t.teardown(() => scene.close())
  const front = scene.network('front', 10)
  const options = { ports: [{ hostPort: 8001, containerPort: 80 }] }
  const result = await front.add(scene.get('a'), options)
  for (const command of ['iptables', 'ip6tables']) {
    await front.check(scene.get('a'), result, options)
    const { stdout: saved } = await scene.host.run(`${command}-save`)
    await scene.host.run(command, '-t', 'nat', '-F')
    await t.rejects(
      front.check(scene.get('a'), result, options),
      { code: 102, message: new RegExp(`${command}: table nat lacks`) },
      command,
    )
    await scene.host.run(`${command}-restore`, { stdin: saved })
  }
  await front.delete(scene.get('a'), options)
  t.strictSame(await scene.residue(), [])
})

t.test('section 2, CHECK: what plugins behind us added is none of our business', async () => {
  const { scene, front } = await open('a')
  const a = scene.get('a')
  const result = await front.add(a)
  await a.run('ip', 'link', 'add', 'extra', 'type', 'veth', 'peer', 'name', 'other')
  await a.run('ip', 'address', 'add', '10.77.0.1/24', 'dev', 'eth0')
  await a.run('ip', 'route', 'add', '10.78.0.0/24', 'dev', 'eth0')
  const more: Result = {
    ...result,
    interfaces: [
      ...(result.interfaces ?? []),
      { name: 'extra', mac: '02:00:00:00:00:55', sandbox: '/run/netns/a' },
    ],
    ips: [...(result.ips ?? []), { address: '10.77.0.1/24', interface: 3 }],
    routes: [...(result.routes ?? []), { dst: '10.78.0.0/24' }],
  }
  await front.check(a, more)
})
