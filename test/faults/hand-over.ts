/**
 * A hand-over in which one of the two stops, hangs or dies: there is one daemon afterwards, and whoever asked it
 * meanwhile is answered. strace stops or kills a process at one of its system calls.
 */

import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Host, type Running, waitFor } from 'tsnet/lab'
import { type Command, EXECUTABLE, withDaemon } from '../support/daemon.ts'
import type { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const CONTROL = '/run/tsnet/control.sock'
const SHORT_MS = 500
const REPLACE = ['daemon', '--config', '/run/none.json', '--replace']

const daemons = (host: Host): number[] =>
  host
    .processes()
    .filter(({ command }) => /^node .*tsnet daemon/.test(command))
    .map(({ pid }) => pid)

/** A successor that strace disturbs at a system call of it. */
const disturbed = (host: Host, call: string, how: string): Running =>
  host.start(
    ...['strace', '-f', '-e', `trace=${call}`, '-e', `inject=${call}:${how}`],
    ...[EXECUTABLE, ...REPLACE],
    { env: { TSNET_NAT: 'iptables' } },
  )

async function open(t: Parameters<typeof withDaemon>[0]) {
  const { scene, tsnet } = await withDaemon(t, 'web')
  await tsnet.run('publish', '--mode', 'proxy', '8080:80', 'netns:web')
  const [pid = 0] = daemons(scene.host)
  return { scene, host: scene.host, tsnet, pid }
}

/** All is as if nobody had asked, and somebody else can take over. */
async function goesOn(t: Parameters<typeof withDaemon>[0], scene: Scene, tsnet: Command, pid: number) {
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web', 'the port leads on')
  t.match(await tsnet.ports(), [{ hostPort: 8080 }], 'the daemon answers')
  t.strictSame(daemons(scene.host), [pid], 'there is one daemon, the first')
  const next = await tsnet.daemon('--replace')
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  t.match(await tsnet.ports(), [{ hostPort: 8080 }])
  t.equal((await next.stop('SIGTERM')).code, 0)
}

t.test('whoever asks for a hand-over and says nothing more gives way', async t => {
  const { scene, host, tsnet, pid } = await open(t)
  const successor = connect(host.path(CONTROL))
  let said = ''
  successor.on('data', chunk => {
    said += chunk
  })
  successor.write(`${JSON.stringify({ id: 1, do: 'hand-over' })}\n`)
  const began = performance.now()
  await once(successor, 'data')
  await t.rejects(host.ask('tcp', '127.0.0.1', 8080, { withinMs: SHORT_MS }), 'control: all stands still')
  const [listed, answer] = await Promise.all([
    tsnet.ports(),
    host.ask('tcp', '127.0.0.1', 8080, { withinMs: 20_000 }),
    once(successor, 'close'),
  ])
  t.ok(performance.now() - began < 15_000, `for ${Math.round(performance.now() - began)} ms`)
  t.match(said, '"event":"taken-back"', 'and hears that')
  t.match(listed, [{ hostPort: 8080 }])
  t.equal(answer.place, 'web', 'who waited is served')
  await goesOn(t, scene, tsnet, pid)
})

for (const [where, call, nth] of [
  ['with what it was handed', 'pidfd_getfd', 1],
  ['about to say that it listens', 'listen', 2],
] as const) {
  t.test(`a successor that is stopped ${where} gives way, and ends when it is continued`, async t => {
    const { scene, host, tsnet, pid } = await open(t)
    const successor = disturbed(host, call, `signal=STOP:when=${nth}`)
    const isStopped = () => successor.stderr.includes('stopped by SIGSTOP')
    await waitFor(isStopped, { what: 'the successor to be stopped', withinMs: 30_000 })
    t.match(await tsnet.ports(), [{ hostPort: 8080 }], 'the daemon answers')
    t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
    for (const other of daemons(host).filter(each => each !== pid))
      await host.run('kill', '-CONT', `${other}`)
    const { code, stderr } = await successor.finished
    t.equal(code, 1)
    t.match(stderr, /the daemon that runs goes on/)
    await goesOn(t, scene, tsnet, pid)
  })

  t.test(`a successor that is killed ${where} changes nothing`, async t => {
    const { scene, host, tsnet, pid } = await open(t)
    await disturbed(host, call, `signal=KILL:when=${nth}`).finished
    await goesOn(t, scene, tsnet, pid)
  })
}

t.test('a predecessor that dies before it has given all names has a successor all the same', async t => {
  for (const nth of [1, 2, 3]) {
    const { host, tsnet, pid } = await open(t)
    await underStrace(host, pid, `inject=rename:signal=KILL:when=${nth}`)
    await tsnet.daemon('--replace')
    t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
    t.match(await tsnet.ports(), [{ hostPort: 8080 }])
    t.equal(daemons(host).filter(each => each !== pid).length, 1)
    t.notMatch((await host.run('ls', '/run/tsnet')).stdout, /sock\./, 'it has the names')
  }
})

t.test('a predecessor that dies before it answers has a successor all the same', async t => {
  const { host, tsnet, pid } = await open(t)
  const inode = async () => (await host.run('stat', '-c', '%i', CONTROL)).stdout
  const before = await inode()
  await underStrace(host, pid, 'inject=rename:delay_exit=20000000:when=3')
  const second = tsnet.daemon('--replace')
  await waitFor(async () => (await inode()) !== before, { what: 'the name', withinMs: 30_000 })
  await host.run('kill', '-KILL', `${pid}`)
  await second
  t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  t.match(await tsnet.ports(), [{ hostPort: 8080 }])
})

t.test('a predecessor that is killed in the middle of a hand-over has a successor all the same', async t => {
  const { host, tsnet, pid } = await open(t)
  // So it is in the middle for a while.
  const strace = await hangWorker(host, pid)
  const second = tsnet.daemon('--replace')
  await waitFor(async () => !(await answers(host)), { what: 'it to stand still', withinMs: 30_000 })
  await host.run('kill', '-KILL', `${pid}`)
  // A traced thread dies once its tracer lets it.
  await strace.stop('SIGKILL')
  await second
  t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  t.match(await tsnet.ports(), [{ hostPort: 8080 }])
  t.equal(daemons(host).filter(each => each !== pid).length, 1)
})

t.test(
  'a predecessor that is told to end in the middle of a hand-over has a successor all the same',
  async t => {
    const { host, tsnet, pid } = await open(t)
    const strace = await hangWorker(host, pid)
    const second = tsnet.daemon('--replace')
    await waitFor(async () => !(await answers(host)), { what: 'it to stand still', withinMs: 30_000 })
    await host.run('kill', '-TERM', `${pid}`)
    await strace.stop('SIGTERM')
    await second
    t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
    t.match(await tsnet.ports(), [{ hostPort: 8080 }])
    await waitFor(() => !daemons(host).includes(pid), { what: 'the end of the first', withinMs: 30_000 })
    t.equal(daemons(host).length, 1)
  },
)

t.test(
  'a predecessor whose worker hangs goes on after a while, and keeps the others waiting no longer',
  async t => {
    const { scene, host, tsnet, pid } = await open(t)
    const strace = await hangWorker(host, pid)
    const successor = host.start(EXECUTABLE, ...REPLACE, { env: { TSNET_NAT: 'iptables' } })
    await waitFor(async () => !(await answers(host)), { what: 'it to stand still', withinMs: 30_000 })
    const { code, stderr } = await successor.finished
    t.equal(code, 1)
    t.match(stderr, /did not stand still within 5 s/)
    t.match(await tsnet.ports(), [{ hostPort: 8080 }], 'it answers, while the worker still hangs')
    await strace.stop('SIGTERM')
    await goesOn(t, scene, tsnet, pid)
  },
)

t.test('of four successors at once one daemon is left, and no other process', async t => {
  const { host, tsnet, pid } = await open(t)
  const successors = Array.from({ length: 4 }, () =>
    host.start(EXECUTABLE, ...REPLACE, { env: { TSNET_NAT: 'iptables' } }),
  )
  const one = () => successors.some(({ stdout }) => stdout.includes('ready')) && daemons(host).length === 1
  await waitFor(one, { what: 'one daemon', withinMs: 60_000 })
  t.notSame(daemons(host), [pid], 'a new one')
  t.match(await tsnet.ports(), [{ hostPort: 8080 }])
  t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  await tsnet.run('unpublish', '--all')
  for (const each of successors) await each.stop('SIGTERM')
  await waitFor(() => daemons(host).length === 0, { what: 'the last one to end' })
})

/** The daemon goes on under strace. */
async function underStrace(host: Host, pid: number, inject: string): Promise<void> {
  const strace = host.start(
    'strace',
    '-f',
    '-o',
    '/dev/null',
    '-e',
    'trace=rename',
    '-e',
    inject,
    '-p',
    `${pid}`,
  )
  await waitFor(() => strace.stderr.includes('attached'), { what: 'strace' })
}

/** The thread that moves bytes hangs in its next wait. Of a daemon that alone gains no privileges. */
async function hangWorker(host: Host, pid: number): Promise<Running> {
  t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'web', 'it is there')
  const confined = `grep -l '^NoNewPrivs:.1' /proc/${pid}/task/*/status`
  const [worker = ''] = /\d+(?=\/status)/.exec((await host.run('sh', '-c', confined)).stdout) ?? []
  const waits = 'inject=epoll_wait,epoll_pwait:delay_enter=60000000'
  const strace = host.start(
    ...['strace', '-o', '/dev/null', '-e', 'trace=epoll_wait,epoll_pwait', '-e', waits, '-p', worker],
  )
  await waitFor(() => strace.stderr.includes('attached'), {
    what: `strace of ${worker}`,
    withinMs: 30_000,
  })
  return strace
}

/** Whether the daemon answers soon. */
async function answers(host: Host): Promise<boolean> {
  const socket = connect(host.path(CONTROL))
  socket.on('error', () => {})
  try {
    socket.write(`${JSON.stringify({ id: 1, do: 'ports' })}\n`)
    const late = sleep(SHORT_MS, false, { ref: false })
    return await Promise.race([once(socket, 'data').then(() => true), late])
  } finally {
    socket.destroy()
  }
}
