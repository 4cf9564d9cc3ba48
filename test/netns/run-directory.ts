/** A run directory that cannot be written: an error at once, and nothing is left. */

import t from 'tap'
import { Command } from '../support/daemon.ts'
import { Plugin } from '../support/plugin.ts'
import { Scene } from '../support/scene.ts'

t.test('every command and the daemon say so, whatever keeps it from being written', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const { host } = scene
  await host.run('sh', '-c', 'mkdir -p /run/fixed && mount -t tmpfs -o ro fixed /run/fixed && : >/run/file')
  await scene.remember()
  for (const directory of [
    '/proc/x',
    '/proc/x/y',
    '/run/fixed',
    '/run/fixed/tsnet',
    '/run/file',
    '/run/file/tsnet',
  ]) {
    const tsnet = new Command(host, 'iptables', { TSNET_RUN_DIR: directory })
    for (const words of [
      ['publish', '8080:80', 'netns:web'],
      ['unpublish', '--all'],
      ['unpublish', '8080'],
      ['ports'],
      ['ports', '--all'],
      ['daemon'],
    ]) {
      const { code, stdout, stderr } = await tsnet.try(...words)
      t.equal(code, 1, `${words.join(' ')} with ${directory}`)
      t.equal(stdout, '')
      t.match(stderr, /^tsnet: [^\n]*\n$/, 'one line')
      t.ok(stderr.includes(directory), stderr)
      t.match(stderr, 'TSNET_RUN_DIR')
    }
    const { config } = scene.network('front', 10)
    const front = new Plugin(host, 'iptables', config, undefined, { TSNET_RUN_DIR: directory })
    const refused = { code: 5, message: /TSNET_RUN_DIR/ }
    await t.rejects(front.status(), refused, `STATUS with ${directory}`)
    await t.rejects(front.add(scene.get('web')), refused, `ADD with ${directory}`)
  }
  t.same(await scene.residue(), [])
})

t.test('one that is not there yet is made, and is not left by who only asks', async t => {
  const scene = await Scene.open('iptables')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'iptables', { TSNET_RUN_DIR: '/run/mine' })
  await scene.remember()
  t.equal((await tsnet.run('ports', '--json')).stdout, '[]\n')
  t.same(await scene.residue(), [])
})
