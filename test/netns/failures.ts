/**
 * An ADD that fails, for whatever reason and however late, leaves the host as it was; a call that must not
 * be carried out changes nothing.
 *
 *     client eth0 ──── lan0 host ── br-front ┬─ a   8001 of the host → 80
 *                                            └─ b
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { ownerTag } from '../../src/model/network.ts'
import type { CallOptions } from '../support/plugin.ts'
import { BACKENDS, Scene } from '../support/scene.ts'

/** Reasons for which ADD of `b` fails when `a` holds port 8001: `[what to do before, call, error]`. */
interface Failure {
  before?: (scene: Scene) => Promise<unknown>
  call: CallOptions
  error: { code: number; message: RegExp }
}

const FAILURES: Record<string, Failure> = {
  'a port that another container has': {
    call: { ports: [{ hostPort: 8001, containerPort: 80 }] },
    error: { code: 101, message: /port .*8001\/tcp .*container a on network front/ },
  },
  'a port that a process of the host listens on': {
    before: async ({ host }) => host.listen('tcp', 9001),
    call: { ports: [{ hostPort: 9001, containerPort: 80 }] },
    error: { code: 101, message: /port .*9001\/tcp is already in use/ },
  },
  'an address that is not one of the host': {
    call: { ports: [{ hostPort: 53, containerPort: 53, hostIP: '1.1.1.1' }] },
    error: { code: 7, message: /1\.1\.1\.1/ },
  },
  'an interface that exists in the container': {
    before: async scene => scene.world.wire([scene.client, 'spare'], [scene.get('b'), 'eth0']),
    call: {},
    error: { code: 101, message: /interface eth0 exists already/ },
  },
  'a bridge that is none': {
    before: async scene => scene.world.wire([scene.client, 'spare'], [scene.host, 'not-a-bridge']),
    call: { config: { bridge: 'not-a-bridge' }, ports: [{ hostPort: 8002, containerPort: 80 }] },
    error: { code: 101, message: /not-a-bridge/ },
  },
  'a bridge that lacks the gateway address of this network': {
    before: async ({ host }) => host.bridge('taken', { addresses: ['10.10.9.9/16'] }),
    call: { config: { bridge: 'taken' }, ports: [{ hostPort: 8002, containerPort: 80 }] },
    error: { code: 101, message: /10\.10\.9\.9/ },
  },
  'no address left': {
    call: {
      config: { ipam: { type: 'host-local', ranges: [[{ subnet: '10.10.0.0/16', rangeEnd: '10.10.0.2' }]] } },
      ports: [{ hostPort: 8002, containerPort: 80 }],
    },
    error: { code: 100, message: /address/ },
  },
  'VLAN filtering that this kernel does not have': {
    call: { config: { vlan: 7 }, ports: [{ hostPort: 8002, containerPort: 80 }] },
    error: { code: 105, message: /VLAN/i },
  },
  'an IPAM plugin that is not there': {
    call: { config: { ipam: { type: 'no-such-plugin' } } },
    error: { code: 105, message: /no-such-plugin/ },
  },
}

t.setTimeout(600_000) // on a busy machine

for (const backend of BACKENDS) {
  const open = async () => {
    const scene = await Scene.open(backend, 'a', 'b')
    const front = scene.network('front', 10)
    await front.add(scene.get('a'), { ports: [{ hostPort: 8001, containerPort: 80 }] })
    return { scene, front }
  }

  for (const [what, { before, call, error }] of Object.entries(FAILURES)) {
    t.test(`${backend}: ADD with ${what} fails and leaves nothing`, async t => {
      const { scene, front } = await open()
      t.teardown(() => scene.close())
      await before?.(scene)
      await scene.remember()
      await t.rejects(front.add(scene.get('b'), call), error)
      t.strictSame(await scene.residue(), [])
    })
  }

  t.test(`${backend}: an ADD whose firewall fails leaves nothing`, async t => {
    const scene = await Scene.open(backend, 'b')
    t.teardown(() => scene.close())
    const { host } = scene
    const failing = '#!/bin/sh\necho out of order >&2\nexit 4\n'
    if (backend === 'iptables') {
      const install =
        'for tool in iptables ip6tables; do cat >"$tool-restore"; chmod +x "$tool-restore"; done'
      await host.run('sh', '-c', `mkdir /run/broken; cd /run/broken; ${install}`, { stdin: failing })
    } else {
      // Somebody else has a table of our name, which is not as ours would be.
      await host.run('nft', 'add table inet tsnet; add map inet tsnet owners { type ipv4_addr : ipv4_addr; }')
    }
    await scene.remember()
    const env = { PATH: `/run/broken:${process.env.PATH}` }
    const ports = [{ hostPort: 8001, containerPort: 80 }]
    await t.rejects(scene.network('front', 10).add(scene.get('b'), { ports, env }), { code: 103 })
    t.strictSame(await scene.residue(), [])
  })

  t.test(`${backend}: an ADD that fails when its limits are set leaves nothing`, async t => {
    const scene = await Scene.open(backend, 'b')
    t.teardown(() => scene.close())
    const front = scene.network('front', 10)
    // The guard comes last. Its table belongs to a process, and to nobody else while that one lives.
    const table = `netdev tsnet-${ownerTag({ network: 'front', containerId: 'b', ifname: 'eth0' })}`
    const words = `add table ${table} { flags owner; }`
    scene.host.start('sh', '-c', `(echo '${words}'; exec sleep 60) | nft --interactive`)
    const isOwned = async () => (await scene.host.run('nft', 'list', 'tables')).stdout.includes(table)
    await waitFor(isOwned, { what: 'the table to be there' })
    await scene.remember()
    const bandwidth = { ingressRate: 1e8, ingressBurst: 1e6, egressRate: 1e8, egressBurst: 1e6 }
    const config = { macspoofchk: true, runtimeConfig: { bandwidth } }
    await t.rejects(front.add(scene.get('b'), { config }), { code: 103 })
    t.strictSame(await scene.residue(), [])
  })

  t.test(`${backend}: the host's own namespace is refused before anything is changed`, async t => {
    const { scene, front } = await open()
    t.teardown(() => scene.close())
    await scene.remember()
    for (const netns of ['/proc/1/ns/net', '/proc/self/ns/net']) {
      const own = { containerId: 'own', netns, ifname: 'lan0' }
      await t.rejects(front.add('own', own), { code: 8, message: /nothing was changed/ })
      await t.rejects(front.delete('own', own), { code: 8, message: /nothing was changed/ })
    }
    t.strictSame(await scene.differences(), [])
  })
}
