/**
 * What CNI 1.1.0 asks of DEL and only a kernel can tell; test/cni/spec.ts asks the rest. The
 * section in a name is that of the spec's text.
 */

import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import t from 'tap'
import { hasCode } from '../../src/model/errors.ts'
import { linkNames } from '../support/kernel-links.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const open = async (...containers: string[]) => {
  const scene = await Scene.open('nftables', ...containers)
  t.teardown(() => scene.close())
  return { scene, front: scene.network('front', 10) }
}

t.test('section 2, DEL: succeeds as often as one likes', async t => {
  const { scene, front } = await open('a')
  const prevResult = await front.add(scene.get('a'))
  for (const options of [{ prevResult }, { prevResult }, {}]) await front.delete(scene.get('a'), options)
  t.strictSame(await scene.residue(), [])
})

t.test('section 2, DEL: succeeds when the interface is gone', async t => {
  const { scene, front } = await open('a')
  const prevResult = await front.add(scene.get('a'))
  await scene.get('a').run('ip', 'link', 'delete', 'eth0')
  await front.delete(scene.get('a'), { prevResult })
  t.strictSame(await scene.residue(), [])
})

t.test('section 2, DEL: succeeds when the namespace is gone, named or not', async t => {
  for (const netns of ['/run/netns/a', '']) {
    const { scene, front } = await open('a')
    await front.add(scene.get('a'))
    await scene.get('a').remove()
    await front.delete('a', { netns })
    t.strictSame(await scene.residue(line => !/ (a|\/run\/netns\/a) /.test(line)), [], netns)
  }
})

t.test('section 2, DEL: succeeds when nothing was ever added, or ADD failed', async t => {
  const { scene, front } = await open('a')
  await front.delete(scene.get('a'))
  await t.rejects(front.add(scene.get('a'), { config: { bridge: 'lan0' } }))
  await front.delete(scene.get('a'), { config: { bridge: 'lan0' } })
  t.strictSame(await scene.residue(), [])
})

t.test(
  'section 2, DEL: takes one interface of one network, and leaves the others of the container',
  async t => {
    const { scene, front } = await open('a')
    const back = scene.network('back', 11)
    const a = scene.get('a')
    await front.add(a, { ifname: 'eth0' })
    const kept = await front.add(a, { ifname: 'eth1' })
    await back.add(a, { ifname: 'eth2' })
    await front.delete(a, { ifname: 'eth0' })
    t.same((await linkNames(scene.get('a'))).sort(), ['eth1', 'eth2'])
    await front.check(a, kept, { ifname: 'eth1' })
    await back.delete(a, { ifname: 'eth1' })
    t.same((await linkNames(scene.get('a'))).sort(), ['eth1', 'eth2'], 'eth1 is not of that network')
  },
)

t.test(
  'section 2, DEL: is completed although SIGTERM, SIGINT, SIGHUP and SIGPIPE arrive all the while',
  async t => {
    const { scene, front } = await open('a')
    await front.add(scene.get('a'))
    const env = { CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'a', CNI_NETNS: '/run/netns/a', CNI_IFNAME: 'eth0' }
    const running = scene.host.start(`${process.cwd()}/dist/bin/tsnet`, {
      env: { ...env, TSNET_NAT: front.backend },
      stdin: JSON.stringify(front.config),
    })
    let arrived = 0
    let ended = false
    const finished = running.finished.finally(() => {
      ended = true
    })
    while (!ended) {
      try {
        const { pid } = running
        if (pid !== undefined && ignores(pid, constants.signals.SIGHUP)) {
          for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE'] as const) process.kill(pid, signal)
          arrived++
        }
      } catch (thrown) {
        if (!hasCode(thrown, 'ESRCH', 'ENOENT')) throw thrown // it has just ended
      }
      await new Promise(resolve => setImmediate(resolve))
    }
    t.match(await finished, { code: 0, stdout: '', stderr: '' })
    t.ok(arrived > 0, `${arrived} times`)
    t.strictSame(await scene.residue(), [])
  },
)

/** True while a process has the kernel drop a signal. */
function ignores(pid: number, signal: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const [, mask = '0'] = /^SigIgn:\t([0-9a-f]+)$/m.exec(status) ?? []
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n
}
