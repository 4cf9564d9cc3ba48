/**
 *     client eth0 ───────────── lan0 host ─── br9 ─── web      joined by hand: rules of ours admit clients to it
 *       192.168.50.2   192.168.50.1     10.9.0.1      10.9.0.2
 *       fd50::2             fd50::1      fd09::1      fd09::2
 *
 * What becomes of connections that rules carry when a publication ends.
 */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { openBound } from '../../src/lab/sockets.ts'
import type { Cidr, Ip } from '../../src/model/address/address.ts'
import { Command } from '../support/daemon.ts'
import { BACKENDS, HOST, Scene } from '../support/scene.ts'
import { serve } from '../support/streams.ts'

t.setTimeout(600_000)

const FAMILIES = [4, 6] as const
const refused = { code: 'ECONNREFUSED' }

async function open(t: Test, backend: (typeof BACKENDS)[number]) {
  const scene = await Scene.open(backend)
  t.teardown(() => scene.close())
  const web = await scene.host.namespace('web')
  scene.world.wire([scene.host, 'to-web'], [web, 'eth0', '10.9.0.2/24' as Cidr, 'fd09::2/64' as Cidr])
  scene.host.bridge('br9', { addresses: ['10.9.0.1/24' as Cidr, 'fd09::1/64' as Cidr], ports: ['to-web'] })
  web.route('default', '10.9.0.1')
  web.route('default', 'fd09::1')
  const server = await serve(socket => void socket.write('first half, '), {
    fd: web.inside(() => openBound('tcp', '::' as Ip, 81)),
  })
  t.teardown(() => server[Symbol.asyncDispose]())
  const tsnet = new Command(scene.host, backend)
  const daemon = await tsnet.daemon()
  /** Reads what the server says, over each family, until it has said all. */
  const downloads = async () => {
    const before = server.sockets.length
    const running = FAMILIES.map(family =>
      scene.client.start('socat', '-u', `TCP${family}:${at(family)}:8080`, 'STDOUT'),
    )
    await waitFor(() => server.sockets.length === before + running.length, { what: 'the server to be asked' })
    await waitFor(() => running.every(({ stdout }) => stdout.includes('first')), { what: 'the first half' })
    return running
  }
  const finish = () => {
    for (const socket of server.sockets) if (!socket.destroyed) socket.end('second half')
  }
  const isRefused = async () => {
    for (const family of FAMILIES) await t.rejects(scene.client.ask('tcp', HOST[family], 8080), refused)
  }
  /**
   * What is ending is written down first, so that whoever comes after a kill goes on with it. Whoever asked before rules
   * and socket are gone would be let in, and counted.
   */
  const untilRefused = async () => {
    const listed = 'iptables-save; ip6tables-save; nft list ruleset; ss -tln'
    const isClosed = async () => !/\b8080\b/.test((await scene.host.run('sh', '-c', listed)).stdout)
    await waitFor(isClosed, { what: 'rules and socket to be gone' })
    await isRefused()
  }
  return { scene, server, tsnet, daemon, downloads, finish, isRefused, untilRefused }
}

const at = (family: 4 | 6): string => (family === 4 ? HOST[4] : `[${HOST[6]}]`)

/** Until nobody is let in any more. */
const untilEnding = (tsnet: Command) =>
  waitFor(async () => (await tsnet.ports())[0]?.ending !== undefined, { what: 'the end to begin' })

for (const backend of BACKENDS) {
  t.test(`${backend}: with --drain they finish, while new ones are refused`, async t => {
    const { scene, tsnet, daemon, downloads, finish, untilRefused } = await open(t, backend)
    const before = await scene.differences()
    await tsnet.run('publish', '--drain', '5m', '8080:81', 'netns:web')
    t.match((await tsnet.ports())[0]?.nat?.guests, [{}, {}], 'rules of ours admit clients')
    const running = await downloads()
    const ended = tsnet.run('unpublish', '8080')
    await untilEnding(tsnet)
    await untilRefused()
    t.match(JSON.parse((await tsnet.run('ports', '--json')).stdout), [
      { state: 'ending', why: /connections may finish until \d{4}-/ },
    ])
    t.match(await tsnet.try('publish', '8080:81', 'netns:web'), { code: 1, stderr: /already published/ })
    finish()
    for (const { finished } of running) t.equal((await finished).stdout, 'first half, second half')
    t.match((await ended).stdout, /^\*:8080\/tcp -> \S+:81 ended; 2 connections finished\n$/)
    t.same(await tsnet.ports(), [])
    await daemon.stop('SIGTERM')
    const lasting = (line: string) => !/^connection /.test(line) && !before.includes(line)
    t.same((await scene.differences()).filter(lasting), [])
  })

  t.test(`${backend}: who has not finished in time is cut, at once without --drain`, async t => {
    const { tsnet, server, downloads, isRefused } = await open(t, backend)
    for (const words of [[], ['--drain', '500ms']]) {
      await tsnet.run('publish', ...words, '8080:81', 'netns:web')
      const running = await downloads()
      const { stdout } = await tsnet.run('unpublish', '8080')
      t.match(stdout, /ended; of 2 connections 2 cut\n$/, words.join(' '))
      await isRefused()
      for (const socket of server.sockets) if (!socket.destroyed) socket.end('second half')
      for (const one of running) {
        t.notMatch(one.stdout, /second/, 'nothing goes through any more')
        await one.stop('SIGKILL')
      }
      for (const socket of server.sockets) socket.destroy()
    }
  })

  t.test(`${backend}: a daemon that is killed meanwhile is followed by one that goes on`, async t => {
    const { tsnet, daemon, downloads, finish, untilRefused } = await open(t, backend)
    await tsnet.run('publish', '--drain', '5m', '8080:81', 'netns:web')
    const running = await downloads()
    // What it is told is the launcher's business.
    const asked = tsnet.try('unpublish', '8080').catch(() => {})
    await untilEnding(tsnet)
    const [{ drainsUntil } = {}] = await tsnet.ports()
    await daemon.stop('SIGKILL')
    // Whoever asked starts one as well, and one of the two stays.
    tsnet.start()
    await untilRefused()
    t.equal((await tsnet.ports())[0]?.drainsUntil, drainsUntil, 'until when they may, has stayed')
    finish()
    for (const { finished } of running) t.equal((await finished).stdout, 'first half, second half')
    await waitFor(async () => (await tsnet.ports()).length === 0, { what: 'the publication to end' })
    await asked
  })

  t.test(`${backend}: with the container they end`, async t => {
    const { scene, tsnet, downloads } = await open(t, backend)
    await tsnet.run('publish', '--drain', '5m', '8080:81', 'netns:web')
    await downloads()
    const ended = tsnet.run('unpublish', '8080')
    await untilEnding(tsnet)
    await scene.host.namespaces.find(({ name }) => name === 'web')?.remove()
    t.match((await ended).stdout, /of 2 connections 2 cut/)
  })
}
