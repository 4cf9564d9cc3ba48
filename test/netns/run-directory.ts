/** A run directory that cannot be written, or that others can: an error at once, and nothing is left. */

import t from 'tap'
import { Command } from '../support/daemon.ts'
import { Plugin } from '../support/plugin.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

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

t.test('one that others could change is not used, and nothing is written through it', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const { host } = scene
  const script = `cd /run && mkdir theirs shared grouped own && chmod 700 theirs own && chown 1000 theirs
    chmod 777 shared && chgrp 1000 grouped && chmod 770 grouped
    ln -s theirs led && ln -s own lured && chown -h 1000 lured && ln -s own link`
  await host.run('sh', '-ec', script)
  await scene.remember()
  const { config } = scene.network('front', 10)
  const front = (directory: string) =>
    new Plugin(host, 'iptables', config, undefined, { TSNET_RUN_DIR: directory })
  for (const [name, why] of [
    ['theirs', 'belongs to user 1000'],
    ['shared', 'can be written by everybody'],
    ['grouped', 'can be written by group 1000'],
    ['led', 'belongs to user 1000'],
    ['lured', 'belongs to user 1000'],
  ] as const) {
    const directory = `/run/${name}`
    const tsnet = new Command(host, 'iptables', { TSNET_RUN_DIR: directory })
    for (const words of [['daemon'], ['publish', '8080:80', 'netns:web']]) {
      const { code, stderr } = await tsnet.try(...words)
      t.match({ code, stderr }, { code: 1, stderr: why }, `${words[0]} with ${name}`)
      t.ok(stderr.includes(directory), stderr)
    }
    const refused = { code: 5, message: new RegExp(why) }
    await t.rejects(front(directory).add(scene.get('web')), refused, `ADD with ${name}`)
    t.same(await scene.residue(), [], name)
  }
  for (const name of ['own', 'link']) {
    const own = front(`/run/${name}`)
    await own.add(scene.get('web'))
    t.not((await host.run('ls', '/run/own')).stdout, '', `control: ${name} is used`)
    await own.delete(scene.get('web'))
  }
  t.same(await scene.residue(), [])
})
