/**
 * A host on which 0.1.0 has containers, published ports and a chain of drop-ins (test/golden/state-0.1.0), and from one
 * moment to the next this build is the one that is called: what it finds it understands, brings up to date, and takes down.
 *
 * The control: all of it is there before, and CHECK names what an earlier build did not make.
 */

import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { Command } from '../support/daemon.ts'
import type { Result } from '../support/libcni.ts'
import { layOldState, OLD_CONTAINERS } from '../support/older-state.ts'
import type { Plugin } from '../support/plugin.ts'
import { BACKENDS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const PORTS = [
  { hostPort: 8080, containerPort: 80 },
  { hostPort: 53, containerPort: 80, protocol: 'udp' },
]
const RATES = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 8_000_000, egressBurst: 800_000 }

class OldHost {
  readonly scene: Scene
  readonly front: Plugin
  readonly tsnet: Command

  private constructor(scene: Scene) {
    this.scene = scene
    this.front = scene.network('front', 10, { macspoofchk: true })
    this.tsnet = new Command(scene.host, scene.backend)
  }

  static async open(t: Test, backend: NatBackend): Promise<OldHost> {
    const scene = await Scene.open(backend, ...OLD_CONTAINERS)
    t.teardown(() => scene.close())
    // Tables of iptables stay where they were once used; 0.1.0 found a host that forwards IPv4.
    await scene.host.run('sh', '-ec', USED_BEFORE)
    await scene.remember()
    await layOldState(scene)
    t.ok((await scene.differences()).length > 50, 'control: there is something')
    return new OldHost(scene)
  }

  /** What the runtime has kept of the ADDs. */
  resultOf(name: 'web' | 'api'): Result {
    return JSON.parse(readFileSync(`test/golden/state-0.1.0/${name}.json`, 'utf8')) as Result
  }

  chainPlugin(plugin: keyof typeof CHAIN): Plugin {
    return this.scene.dropIn(plugin, { name: 'chain', ...CHAIN[plugin] })
  }

  /** DEL of everything, the chain's plugins from the last to the first. */
  async deleteAll(isGone = false): Promise<void> {
    const of = (name: string) => (isGone ? name : this.scene.get(name))
    await this.front.delete(of('web'), { ports: PORTS })
    await this.front.delete(of('api'))
    for (const plugin of Object.keys(CHAIN) as (keyof typeof CHAIN)[]) {
      const ports = plugin === 'portmap' ? { ports: [{ hostPort: 8090, containerPort: 80 }] } : {}
      await this.chainPlugin(plugin).delete(of('plain'), ports)
    }
  }

  /** Takes all down, then what was published, and asserts that nothing is left. */
  async end(t: Test, takeDown: () => Promise<void>): Promise<void> {
    await takeDown()
    // Their names are all that is left of those whose namespaces are gone.
    const names = new Set(this.scene.host.namespaces.map(({ name }) => name))
    for (const name of OLD_CONTAINERS) if (!names.has(name)) await this.scene.container(name)
    const daemon = await this.tsnet.daemon()
    await this.tsnet.run('unpublish', '--all')
    await daemon.stop('SIGTERM')
    t.strictSame(await this.residue(), [])
  }

  /** What is left; of the role `bridge` stay the bridge and the tables for what it had in them, as the reference's do. */
  residue(): Promise<string[]> {
    const stays =
      / cni9| table (bridge nat|inet cni_plugins_masquerade)(?!.*10\.9\.)|\/run\/netns\/|^file \/run\/cni /
    return this.scene.residue(line => !stays.test(line))
  }
}

const IPAM = { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/16' }]] }
/** From the last to the first. */
const CHAIN = {
  bandwidth: RATES,
  tuning: { sysctl: { 'net.ipv4.conf.IFNAME.arp_filter': '1' }, mtu: 1400, mac: '02:00:00:00:00:09' },
  firewall: { backend: 'iptables' },
  portmap: { snat: true },
  bridge: { bridge: 'cni9', isGateway: true, ipMasq: true, macspoofchk: true, ipam: IPAM },
}

const USED_BEFORE = `sysctl -qw net.ipv4.ip_forward=1
for command in iptables ip6tables; do
  for table in raw mangle nat filter; do $command -t $table -N X; $command -t $table -X X; done
done`

for (const backend of BACKENDS) {
  t.test(`${backend}: what 0.1.0 attached is brought up to date by reconcile, and CHECK agrees`, async t => {
    const old = await OldHost.open(t, backend)
    const { scene, front, tsnet } = old
    const check = () => front.check(scene.get('web'), old.resultOf('web'), { ports: PORTS })
    const lacking = async () => JSON.parse((await tsnet.run('reconcile', '--dry-run', '--json')).stdout)
    await t.rejects(check(), /invalid/i, 'control: 0.1.0 had fewer guards')
    await t.resolves(scene.client.ask('tcp', HOST[4], 8080), 'meanwhile it is served')
    await tsnet.run('reconcile')
    t.strictSame(await lacking(), [])
    await t.resolves(check())
    await t.resolves(front.check(scene.get('api'), old.resultOf('api')))
    for (const port of [8080, 8081]) await t.resolves(scene.client.ask('tcp', HOST[4], port), `${port}`)
    await old.end(t, () => old.deleteAll())
  })

  t.test(`${backend}: a daemon serves what 0.1.0 published, and brings its rules up to date`, async t => {
    const old = await OldHost.open(t, backend)
    const { scene, front, tsnet } = old
    const daemon = await tsnet.daemon()
    for (const port of [8080, 8081]) await t.resolves(scene.client.ask('tcp', HOST[4], port), `${port}`)
    for (const port of [8081, 8082]) await t.resolves(scene.host.ask('tcp', '127.0.0.1', port), `${port}`)
    t.match(await tsnet.ports(), [{ hostPort: 8081, state: 'serving' }])
    const isWhole = async () =>
      (await tsnet.run('reconcile', '--dry-run', '--json')).stdout.trim() === '[]' &&
      (await front.check(scene.get('web'), old.resultOf('web'), { ports: PORTS }).then(
        () => true,
        () => false,
      ))
    await waitFor(isWhole, { what: 'all to be as this build makes it', withinMs: 30_000 })
    await tsnet.run('unpublish', '8081')
    await old.deleteAll()
    await daemon.stop('SIGTERM')
    t.strictSame(await old.residue(), [])
  })

  t.test(
    `${backend}: DEL takes down what 0.1.0 attached, at once, also when the namespaces are gone`,
    async t => {
      for (const isGone of [false, true]) {
        const old = await OldHost.open(t, backend)
        if (isGone) for (const name of OLD_CONTAINERS) await old.scene.get(name).remove()
        await old.end(t, () => old.deleteAll(isGone))
      }
    },
  )

  t.test(`${backend}: GC takes what 0.1.0 attached`, async t => {
    const old = await OldHost.open(t, backend)
    await old.end(t, async () => {
      for (const network of [old.front, old.chainPlugin('bridge')]) await network.collect([])
      await old.chainPlugin('portmap').collect([])
      await old.chainPlugin('firewall').collect([])
      await old.chainPlugin('bandwidth').collect([])
      await old.chainPlugin('tuning').collect([])
    })
  })
}
