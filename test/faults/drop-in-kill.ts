/**
 * The drop-ins `tuning` and `bandwidth`, killed by strace at each message to the kernel and each rename: DEL
 * leaves the interface as it was, and nothing else.
 */

import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { getLink, listLinks } from '../../src/netlink/link/link.ts'
import { Chained } from '../support/chained.ts'

t.setTimeout(600_000)

const SIGKILL = 137

const configs: Record<string, Record<string, unknown>> = {
  tuning: { mac: '02:00:00:00:00:09', mtu: 1400, promisc: true, allmulti: true, txQLen: 77 },
  bandwidth: { ingressRate: 8e6, ingressBurst: 8e5, egressRate: 8e6, egressBurst: 8e5 },
}

/** What ADD changes, as far as DEL has to give it back. */
function changed({ kernel, web, host }: Chained): unknown {
  const { mac, mtu, promiscuous, allmulti, txQueueLength } = getLink(web.nl, { name: 'eth0' })
  const ifbs = listLinks(kernel.nl, { kind: 'ifb' }).map(({ name }) => name)
  const files = readdirSync(host.path('/run')).includes('cni') ? readdirSync(host.path('/run/cni')) : []
  return { mac, mtu, promiscuous, allmulti, txQueueLength, ifbs, files }
}

/** ADD that is killed at the nth call of this kind. @returns false where there were not so many */
async function killedAt(scene: Chained, call: string, nth: number): Promise<boolean> {
  const options = ['-f', '-qqq', '-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${nth}`]
  const done = await scene.host.run('strace', ...options, resolve('dist/drop-in', scene.type), {
    env: {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'web',
      CNI_NETNS: scene.web.path,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/nowhere',
    },
    stdin: JSON.stringify({
      cniVersion: '1.0.0',
      name: 'front',
      type: scene.type,
      prevResult: scene.before,
      ...configs[scene.type],
    }),
    mayFail: true,
  })
  return done.code === SIGKILL
}

for (const type of ['tuning', 'bandwidth']) {
  t.test(`${type} killed at any of its steps is taken back by DEL`, async t => {
    await using scene = await Chained.open(type)
    const before = changed(scene)
    let halfDone = 0
    for (const call of ['sendto', 'rename']) {
      for (let nth = 1; await killedAt(scene, call, nth); nth++) {
        if (JSON.stringify(changed(scene)) !== JSON.stringify(before)) halfDone++
        await scene.call('tsnet', 'DEL', { config: configs[type] ?? {}, prevResult: null })
        t.strictSame(changed(scene), before, `${call} ${nth}`)
        // These go with the veth pair.
        for (const where of ['root', 'ingress']) {
          await scene.host.run('tc', 'qdisc', 'delete', 'dev', 'veth0', where, { mayFail: true })
        }
      }
      // The last one was not killed.
      await scene.call('tsnet', 'DEL', { prevResult: null })
      t.strictSame(changed(scene), before)
      for (const where of ['root', 'ingress']) {
        await scene.host.run('tc', 'qdisc', 'delete', 'dev', 'veth0', where, { mayFail: true })
      }
    }
    t.ok(halfDone > 2, `${halfDone} kills came half-way`)
  })
}
