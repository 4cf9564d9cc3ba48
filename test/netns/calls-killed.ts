/**
 * CNI calls done by the daemon, when somebody dies: the caller, whose ADD is taken back and whose DEL is
 * finished; or the daemon, whose work the caller finds and does again.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import { peerPid } from '../../src/ffi/peer.ts'
import { processIdentity } from '../../src/netns/processes.ts'
import { Calls, type Launcher, launchers } from '../support/calls.ts'
import { Command } from '../support/daemon.ts'
import { FakePlugin } from '../support/fake-plugin.ts'
import { BACKENDS, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const kill = (running: Running, signal: NodeJS.Signals = 'SIGKILL') => {
  const { pid } = running
  if (pid !== undefined) process.kill(pid, signal)
}

/** The records of attachments on the host, as text. */
const records = async ({ host }: Scene): Promise<string> =>
  (await host.run('sh', '-c', 'cat /run/tsnet/attachments/*.json', { mayFail: true })).stdout

/** A network whose IPAM plugin waits for a file before each of its answers. */
async function patient(t: Test, launcher: Launcher) {
  const scene = await Scene.open('nftables', 'a')
  t.teardown(() => scene.close())
  const folder = t.testdir({})
  const answer = `echo '{"cniVersion":"1.1.0","ips":[{"address":"10.10.0.9/16"}]}'`
  const wait = `while [ ! -e '${folder}/go' ]; do sleep 0.01; done`
  const plugin = new FakePlugin(folder, `${wait}; case $CNI_COMMAND in ADD) ${answer};; esac`)
  const config = { ipam: { type: plugin.name }, isDefaultGateway: false }
  const calls = new Calls(scene, launcher, config, { CNI_PATH: plugin.folder })
  const asked = (command: string) =>
    waitFor(() => plugin.calls.some(call => call.command === command), { what: `${command} of addresses` })
  return { scene, plugin, calls, asked, letGo: () => writeFileSync(join(folder, 'go'), '') }
}

for (const launcher of Object.keys(launchers) as Launcher[]) {
  t.test(`${launcher}: an ADD whose caller is killed in the midst of it is taken back`, async t => {
    const { scene, calls, asked, letGo } = await patient(t, launcher)
    await calls.serve()
    const add = calls.start('ADD', 'a')
    await asked('ADD')
    const waiting = calls.start('ADD', 'a')
    await waitFor(() => waiting.pid !== undefined, { what: 'another ADD to wait for it' })
    kill(waiting)
    kill(add)
    await Promise.all([add.finished, waiting.finished])
    letGo()
    await asked('DEL')
    await calls.end()
    t.strictSame(await scene.residue(), [])
  })

  t.test(`${launcher}: a DEL whose caller is killed in the midst of it is finished`, async t => {
    const { scene, plugin, calls, letGo } = await patient(t, launcher)
    letGo()
    await calls.serve()
    t.match(await calls.run('ADD', 'a'), { code: 0 })
    writeFileSync(join(plugin.folder, plugin.name), `#!/bin/sh\nsleep 0.3\n: >'${plugin.folder}/deleted'\n`)
    const del = calls.start('DEL', 'a')
    await waitFor(async () => (await records(scene)).includes('detaching'), { what: 'the DEL to begin' })
    kill(del)
    await del.finished
    await waitFor(() => readFileSync(`${plugin.folder}/deleted`), { what: 'the addresses to be given back' })
    await waitFor(async () => (await records(scene)) === '', { what: 'the record to go' })
    await calls.end()
    t.strictSame(await scene.residue(), [])
  })
}

t.test('an ADD whose answer was sent, and never read, is taken back', async t => {
  const { scene, calls, asked, letGo } = await patient(t, 'program')
  await calls.serve()
  const add = calls.start('ADD', 'a')
  await asked('ADD')
  const [, parent] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${add.pid}/status`, 'utf8')) ?? []
  kill(add, 'SIGSTOP')
  letGo()
  await waitFor(async () => (await records(scene)).includes('"attached"'), { what: 'the ADD to be done' })
  kill(add)
  process.kill(Number(parent), 'SIGCONT') // nsenter stops with its child
  await add.finished
  await asked('DEL')
  await calls.end()
  t.strictSame(await scene.residue(), [])
})

for (const backend of BACKENDS) {
  t.test(`${backend}: callers killed at any moment leave nothing that a DEL does not take`, async t => {
    const scene = await Scene.open(backend, 'a')
    t.teardown(() => scene.close())
    const calls = new Calls(scene, 'program')
    await calls.serve()
    let undone = 0
    for (let afterMs = 0; afterMs < 56; afterMs += 7) {
      const add = calls.start('ADD', 'a')
      await new Promise(resolve => setTimeout(resolve, afterMs))
      kill(add)
      const { code } = await add.finished
      // Answered after whatever was begun for this container.
      await calls.run('VERSION', 'a')
      const left = await records(scene)
      if (code === 0) t.match(left, /"attached"/, `${afterMs} ms: it was done`)
      else if (left === '') undone++
      else t.match(left, /"attached"/, `${afterMs} ms: it was killed with the answer in its hands`)
      const del = calls.start('DEL', 'a')
      await new Promise(resolve => setTimeout(resolve, afterMs))
      kill(del)
      await del.finished
      await calls.run('VERSION', 'a')
      t.match(await calls.run('DEL', 'a'), { code: 0 }, `${afterMs} ms`)
    }
    t.ok(undone > 0, `${undone} were killed in time`)
    await calls.end()
    t.strictSame(await scene.residue(), [])
  })

  t.test(`${backend}: a daemon killed at any moment: the caller does it, once`, async t => {
    const scene = await Scene.open(backend, 'a')
    t.teardown(() => scene.close())
    const calls = new Calls(scene, 'program')
    const start = () => new Command(scene.host, backend).daemon()
    for (let afterMs = 2; afterMs < 60; afterMs += 14) {
      const first = await start()
      const add = calls.start('ADD', 'a')
      await new Promise(resolve => setTimeout(resolve, afterMs))
      await first.stop('SIGKILL')
      const { code, stdout, stderr } = await add.finished
      t.equal(code, 0, `${afterMs} ms: ${stdout}${stderr}`)
      const prevResult = JSON.parse(stdout)
      t.match(await calls.run('CHECK', 'a', { config: { prevResult } }), { code: 0, stdout: '' })
      const { stdout: leases } = await scene.host.run('sh', '-c', 'ls /var/lib/cni/networks/front | grep ^10')
      t.equal(leases.trim().split('\n').length, 1, leases)

      const second = await start()
      const del = calls.start('DEL', 'a')
      await new Promise(resolve => setTimeout(resolve, afterMs))
      await second.stop('SIGKILL')
      t.match(await del.finished, { code: 0, stdout: '', stderr: '' })
      t.equal(await records(scene), '')
    }
    const last = await start()
    await last.stop('SIGTERM')
    t.strictSame(await scene.residue(), [])
  })
}

for (const launcher of Object.keys(launchers) as Launcher[]) {
  t.test(`${launcher}: what a daemon did for this very call before it died is done again`, async t => {
    const scene = await Scene.open('nftables', 'a')
    t.teardown(() => scene.close())
    const calls = new Calls(scene, launcher)
    const first = JSON.parse((await calls.run('ADD', 'a')).stdout)
    const [record = ''] = (await scene.host.run('sh', '-c', 'echo /run/tsnet/attachments/*')).stdout.split(
      '\n',
    )
    let named: (caller: string) => string = () => 'somebody else'
    // A daemon that writes down for whom it was, and dies.
    const daemon = createServer(socket => {
      const outer = peerPid(socket)
      const [, inner] = /^NSpid:.*\t(\d+)$/m.exec(readFileSync(`/proc/${outer}/status`, 'utf8')) ?? []
      const identity = (processIdentity(outer) ?? '').replace(/^\d+/, inner ?? '')
      const path = scene.host.path(record)
      const entry = JSON.parse(readFileSync(path, 'utf8'))
      entry.attachment.caller = named(identity)
      writeFileSync(path, JSON.stringify(entry))
      socket
        .resume()
        .on('error', () => {})
        .end('tsnet\n0 7 0\n{')
    })
    await new Promise<void>(resolve => daemon.listen(scene.host.path('/run/tsnet/call.sock'), resolve))
    const { code, stdout } = await calls.run('ADD', 'a')
    t.match({ code, error: JSON.parse(stdout) }, { code: 1, error: { code: 101, msg: /exists already/ } })
    named = caller => caller
    const again = await calls.run('ADD', 'a')
    t.equal(again.code, 0, again.stdout)
    t.same(JSON.parse(again.stdout).interfaces.length, first.interfaces.length)
    t.notMatch(await records(scene), 'caller')
    daemon.close()
    t.match(await calls.run('DEL', 'a'), { code: 0 })
    t.strictSame(await scene.residue(), [])
  })
}

t.test('a daemon that is told to stop finishes what it has begun', async t => {
  const { scene, calls, asked, letGo } = await patient(t, 'program')
  const daemon = await calls.serve()
  const add = calls.start('ADD', 'a')
  await asked('ADD')
  const stopped = daemon.stop('SIGTERM')
  await waitFor(() => daemon.stderr.includes('stopping'), { what: 'the daemon to begin to stop' })
  await calls.allowNode()
  t.match(await calls.run('VERSION', ''), { code: 0 }, 'what comes now does its callers')
  letGo()
  t.match(await add.finished, { code: 0, stderr: '' })
  t.match(await stopped, { code: 0 })
  t.match(await records(scene), /"caller"/, 'it was the daemon')
  t.match(await calls.run('DEL', 'a'), { code: 0 })
  t.strictSame(await scene.residue(), [])
})

t.test('while daemons follow one another no call fails', async t => {
  const scene = await Scene.open('nftables', 'a', 'b')
  t.teardown(() => scene.close())
  const calls = new Calls(scene, 'program')
  const command = new Command(scene.host, 'nftables')
  let daemon = await command.daemon()
  let over = false
  let [count, served] = [0, 0]
  const comeAndGo = async (container: string, hostPort: number) => {
    const portMappings = [{ hostPort, containerPort: 80, protocol: 'tcp' }]
    const config = { runtimeConfig: { portMappings } }
    while (!over) {
      const add = await calls.run('ADD', container, { config })
      if (add.code !== 0) t.fail(`ADD: ${add.stdout}`)
      if ((await records(scene)).includes('"caller"')) served++
      const del = await calls.run('DEL', container, { config })
      if (del.code !== 0) t.fail(`DEL: ${del.stdout}`)
      count++
    }
  }
  const both = Promise.all([comeAndGo('a', 8080), comeAndGo('b', 8081)])
  for (let turn = 0; turn < 3; turn++) {
    const before = count
    const successor = await command.daemon('--replace')
    t.match(await daemon.finished, { code: 0 })
    daemon = successor
    await waitFor(() => count > before + 4, { what: 'more to come and go' })
  }
  over = true
  await both
  t.ok(served > 0, `${count} came and went, most of them through a daemon`)
  await daemon.stop('SIGTERM')
  t.strictSame(await scene.residue(), [])
})
