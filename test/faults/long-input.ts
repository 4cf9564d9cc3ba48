/**
 * Whoever says much more than anybody has to say: a hundred megabytes on the stdin of a call, in a line of the control
 * socket, in a call that is handed to the daemon. It is refused at the limit of each, in a bounded memory; and who asks
 * meanwhile is answered.
 */

import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { launchers } from '../support/calls.ts'
import { withDaemon } from '../support/daemon.ts'
import { memoryOf, peakKbOf } from '../support/memory.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { HOST, Scene } from '../support/scene.ts'

const MUCH = 100_000_000
/** What stdin may be, src/cni/stdin.ts. */
const STDIN_MAX = 10_000_000
/** A process of Node's that has it all beside what it takes for itself would be above. */
const CALL_MB = 150
const DAEMON_GROWS_MB = 64

t.setTimeout(600_000)

for (const [launcher, executable] of Object.entries(launchers)) {
  t.test(
    `${launcher}: a call with more on stdin than a configuration has says so, and changes nothing`,
    async t => {
      const scene = await Scene.open('iptables', 'a')
      t.teardown(() => scene.close())
      const { config } = scene.network('front', 10)
      const env = {
        ...NO_DAEMON,
        TSNET_NAT: 'iptables',
        CNI_CONTAINERID: 'a',
        CNI_NETNS: '/run/netns/a',
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/nowhere',
      }
      /** A configuration with blanks behind it, so many bytes in all. */
      const call = async (command: string, bytes: number) => {
        const text = JSON.stringify({ ...config, type: 'tsnet' })
        const script = `{ printf %s "$1"; head -c ${bytes - text.length} /dev/zero | tr '\\0' ' '; } | exec "$0"`
        const running = scene.host.start('sh', '-c', script, executable, text, {
          env: { ...env, CNI_COMMAND: command },
        })
        let peakKb = 0
        const watching = setInterval(() => {
          for (const { pid, command } of scene.host.processes())
            if (/^\S*node /.test(command)) peakKb = Math.max(peakKb, peakIn(scene, pid))
        }, 10)
        const finished = await running.finished
        clearInterval(watching)
        return { ...finished, peakKb }
      }
      const much = await call('ADD', MUCH)
      t.match(
        { code: much.code, error: JSON.parse(much.stdout) },
        { code: 1, error: { code: 5, msg: /stdin: more than 10000000 bytes/ } },
      )
      t.strictSame(await scene.residue(), [])
      t.ok(much.peakKb > 0 && much.peakKb < CALL_MB * 1024, `${much.peakKb} KB at most`)
      const enough = await call('ADD', STDIN_MAX - 1)
      t.equal(enough.code, 0, `control: ${enough.stdout}`)
      t.equal((await call('DEL', STDIN_MAX - 1)).code, 0)
      t.strictSame(await scene.residue(), [])
      t.comment(
        `figure: ${MUCH / 1e6} MB on stdin, ${launcher}: error 5, seen with ${(much.peakKb / 1024).toFixed()} MB at most; with 10 MB that are done ${(enough.peakKb / 1024).toFixed()} MB`,
      )
    },
  )
}

/** 0 for one that has ended. */
function peakIn(scene: Scene, pid: number): number {
  try {
    return peakKbOf(scene.host.path(`/proc/${pid}`))
  } catch {
    return 0
  }
}

t.test('who says much to the daemon is let go at the limit, and others are answered meanwhile', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  await tsnet.run('publish', '--mode', 'proxy', '8080:80', 'netns:web')
  const [daemon] = scene.host.processes().filter(({ command }) => command.includes('tsnet daemon'))
  const proc = scene.host.path(`/proc/${daemon?.pid}`)
  const before = memoryOf(proc).rssKb
  /** Sends until nobody takes it. @returns bytes that were taken */
  const pour = async (name: string, first: string, most = MUCH): Promise<number> => {
    const socket = connect(scene.host.path(`/run/tsnet/${name}`)).on('error', () => {})
    const closed = new Promise(resolve => socket.once('close', resolve))
    await once(socket, 'connect')
    socket.resume().write(first)
    const chunk = Buffer.alloc(1 << 16, 'x')
    let sent = 0
    const more = () => {
      if (socket.destroyed || sent >= most) return void socket.end()
      sent += chunk.length
      socket.write(chunk, more)
    }
    more()
    t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'web', `beside ${name}`)
    t.equal((await tsnet.ports()).length, 1, `beside ${name}`)
    await closed
    return socket.bytesWritten
  }
  const line = await pour('control.sock', '{"id":1,"do":"ports","with":"')
  t.ok(line < 8e6, `the line was taken up to ${line} bytes`)
  const head = await pour('call.sock', '99999999\n')
  t.ok(head < 2e6, `a length beyond the limit was followed by ${head} bytes`)
  const call = await pour('call.sock', '9999999\n')
  t.ok(call < 14e6, `more than was announced was taken up to ${call} bytes`)
  const crowd = await Promise.all(Array.from({ length: 8 }, () => pour('control.sock', '{"id":1,"do":"')))
  t.ok(
    crowd.every(taken => taken < 8e6),
    'and of eight at once from each',
  )
  const grown = (peakKbOf(proc) - before) / 1024
  t.ok(grown < DAEMON_GROWS_MB, `grew by ${grown.toFixed()} MB at most`)
  const control = connect(scene.host.path('/run/tsnet/control.sock'))
  control.write(`{"id":1,"do":"ping","with":"${'x'.repeat(3e6)}"}\n`)
  t.match(String((await once(control, 'data'))[0]), '"id":1', 'control: a line below the limit is answered')
  control.destroy()
  await waitFor(async () => (await tsnet.ports()).length === 1, { what: 'an answer afterwards' })
  t.comment(
    `figure: ${MUCH / 1e6} MB to the daemon: let go after ${mb(line)} MB of a line, ${mb(head)} and ${mb(call)} of a call; with eight more at once it had ${grown.toFixed()} MB more at most`,
  )
})

const mb = (bytes: number): string => (bytes / 1e6).toFixed(1)
