/**
 * The daemon: one process that listens on every published port, and does the runtimes' calls.
 *
 *     tsnet publish ──▶ control socket ──▶ Publisher ──▶ Proxy (worker threads) ──▶ containers
 *                                             │
 *                                             └──▶ rules, files under the run directory
 *     runtime ──▶ launcher ──▶ call socket ──▶ FastPath ──▶ cni/ (fast-path.ts)
 *                                    └─────▶ commands, as the first line (commands.ts)
 *
 * It is speed, never truth: what is published is in files and in the kernel, and a daemon that starts
 * serves it again. One runs at a time on a run directory: the lock on `daemon.lock` dies with it, or goes to its
 * successor.
 *
 * Start: lock → proxy → serve what is written down → listen → say so (stdout, sd_notify).
 * Every second it looks after the containers. SIGHUP reads the settings again. SIGTERM and SIGINT end it:
 * it stops accepting, connections may finish until the deadline, rules and files stay for its successor.
 * With `replace` it takes the sockets and connections of the daemon that runs (handover.ts).
 *
 * dockerd's ports are served too, as long as their placeholders are connected (placeholders.ts). A daemon that
 * somebody started because it was needed ends when it is not (`idleMs`).
 */

import { closeSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { callSocket, controlSocket } from '../control/control.ts'
import { ControlServer } from '../control/server.ts'
import { readSettings, type Settings } from '../control/settings.ts'
import { FileLock, lockFile } from '../ffi/lock.ts'
import { forcedBackend } from '../model/environment.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { describeHostPorts } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { calledAll, type Publication, type PublicationEvent } from '../model/publication/publication.ts'
import { everyOne } from '../model/undo.ts'
import { keepSockets } from '../netlink/warm-sockets.ts'
import { endOrphans } from '../netns/orphans.ts'
import { startProxy } from '../proxy/proxy.ts'
import { AttachmentPorts } from '../publish/attachment-ports.ts'
import { Front } from '../publish/front/front.ts'
import { portsOf } from '../publish/plan.ts'
import { Publisher } from '../publish/publish.ts'
import { makeRunDirectory, removeEmptyParents, runDirectory, unusable } from '../records/run-directory.ts'
import { type Asked, answerCalls } from './calls.ts'
import { handleCommand, type RunCommand } from './commands.ts'
import { leaveControlGroup } from './control-group.ts'
import { FastPath } from './fast-path.ts'
import { redirectKey } from './handover.ts'
import { whenIdle } from './idle.ts'
import { keepWhole } from './keep-whole.ts'
import { type Listening, listen, listenAt, nameSocketsOf } from './listen.ts'
import { Placeholders } from './placeholders.ts'
import { Predecessor } from './predecessor.ts'
import { notify } from './readiness.ts'
import { handlersOf, personal } from './requests.ts'
import { Succession } from './succession.ts'
import { tend } from './tend.ts'

export interface DaemonOptions {
  settingsPath: string
  /** Take over from the daemon that runs, without anyone noticing. */
  replace?: boolean
  /** End when nothing has been served, and nobody has been connected, for so long. */
  idleMs?: number | undefined
  /** Does commands for others. */
  command: RunCommand
  /** Hears one line for each thing that happens. */
  log: (line: string) => void
  /** Is called once, when everything that is written down is served and the control socket answers. */
  ready: (line: string) => void
}

/** Runs until a signal or a successor ends it. @throws TsnetError when it cannot start */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { settingsPath, command, log, ready, replace = false, idleMs } = options
  let settings = readSettings(settingsPath)
  const backend = forcedBackend(process.env)
  // Of a unit of its own it stays in that.
  if (idleMs !== undefined && process.env.NOTIFY_SOCKET === undefined) leaveControlGroup()
  makeRunDirectory()
  using predecessor = replace ? await Predecessor.find() : undefined
  let alone = predecessor === undefined ? await lockAlone() : undefined
  keepSockets()
  const { workers } = (await predecessor?.greet()) ?? settings
  // Closed whatever happens: its threads would keep us there.
  await using proxy = startProxy({
    workers,
    defaults: {
      maxSessions: settings.udpSessionsPerPort,
      maxSessionsPerSource: settings.udpSessionsPerClient,
      sessionIdleMs: settings.udpIdleMs,
    },
    onFault: log,
  })

  const front = new Front(proxy, settings.redirect === 'on', log)

  const tell = (event: PublicationEvent, about: Publication, why?: string) => {
    const reason = why === undefined ? '' : `: ${why}`
    log(`${event} ${describeHostPorts(portsOf(about))} → ${calledAll(about.containers)}${reason}`)
    control.tell({ event, about: { ...about, ...(why !== undefined && { obstacle: why }) } })
  }
  const tellOfPort = (what: string, why: string | undefined) =>
    log(why === undefined ? `serving ${what}` : `waiting ${what}: ${why}`)
  const publisher = new Publisher(front, { tell, backend })
  const attachments = new AttachmentPorts(front, tellOfPort)
  const placeholders = new Placeholders(front, { tell: tellOfPort })
  const tending = tend(
    () => everyOne([publisher.tend(), attachments.tend(), front.reconsider()]),
    () => settings.tendMs,
    log,
  )
  process.on('SIGHUP', () => {
    settings = reread(settingsPath, settings, log)
    tending.paceChanged()
  })
  const server = createServer()
  const calls = createServer()
  using _ = { [Symbol.dispose]: () => [server, calls].forEach(each => void each.close()) }
  let listening: Listening | undefined
  const succession = new Succession(proxy, placeholders, tending, {
    keys: () => present({ control: listening?.handed, lock: alone?.number, redirect: redirectKey(front) }),
    give: pid => {
      if (pid !== undefined) nameSocketsOf(pid)
    },
    log,
    leave: () => {
      if (listening?.handed !== undefined) server.close()
      front.close()
    },
  })
  const operations = handlersOf(publisher, attachments, placeholders)
  const handlers = { ...succession.guard(operations, personal), ...succession.handlers }
  const control = new ControlServer(server, handlers)

  // It takes nobody before its word is given: until then the predecessor may have to go on.
  if (predecessor !== undefined) await proxy.freeze()
  const inherited = await predecessor?.handOver()
  const sockets = inherited?.sockets ?? new Map<string, number[][]>()
  const handedIn = (id: string) => takeOut(sockets, id)
  if (inherited?.asked !== undefined) front.inherit(inherited.asked)
  publisher.restore(handedIn)
  await attachments.tend(handedIn)
  placeholders.inherit(inherited?.placeholders ?? {}, handedIn)
  // Those of what has ended meanwhile.
  for (const fd of [...sockets.values()].flat(2)) closeSync(fd)
  if (inherited?.lock !== undefined) alone = new FileLock(lockPath(), inherited.lock, true)
  if (inherited?.notify !== undefined) process.env.NOTIFY_SOCKET ??= inherited.notify
  listening = await listen(server, log, inherited?.control)
  const fastPath = new FastPath(attachments)
  const handle = async (asked: Asked) => {
    if (asked.kind === 'call') await succession.unlessSucceeded(() => fastPath.handle(asked))
    else if (!succession.isOver) await handleCommand(asked, command)
  }
  answerCalls(calls, handle, log)
  const called = await listenAt(calls, callSocket(), log)
  if (predecessor === undefined) for (const each of [called, listening]) each.name()
  else await predecessor.replace([called, listening])
  if (inherited !== undefined) await proxy.thaw(inherited.clients)
  alone ??= await lockAlone(SUCCESSION_WITHIN_MS)
  succession.begin()
  const whole = keepWhole(log, () => fastPath.busy)
  whole?.begin()

  // Heard from the moment that somebody may send it.
  const ended = endSignal()
  ready(`tsnet daemon ready on ${controlSocket()} (pid ${process.pid})`)
  notify(`MAINPID=${process.pid}\nREADY=1`)

  const isNeeded = () =>
    proxy.size > 0 || control.connected > 0 || publisher.published().length > 0 || fastPath.busy
  const why = await Promise.race([
    ended,
    succession.done,
    ...(idleMs === undefined ? [] : [whenIdle(idleMs, isNeeded)]),
  ])
  log(`${why}: stopping`)
  const late = sleep(settings.drainMs, undefined, { ref: false })
  calls.close()
  await Promise.race([whole?.stop(), late])
  if (succession.isOver) {
    alone.leave()
    server.close()
    await Promise.race([control.deserted(), late])
    await succession.allDone()
    control.close()
    await proxy.close()
    return
  }
  called.remove()
  await Promise.race([succession.allDone(), late])
  await Promise.race([tending.stop(), late])
  server.close()
  control.close()
  notify('STOPPING=1')
  front.close()
  await proxy.close({ drainMs: settings.drainMs })
  listening.remove()
  alone[Symbol.dispose]()
  removeEmptyParents(controlSocket())
}

/** How long another may need to end: one that runs on does not; a predecessor of an older version lingers first. */
const END_WITHIN_MS = 2_000
const SUCCESSION_WITHIN_MS = 30_000

function takeOut<T>(from: Map<string, T>, key: string): T | undefined {
  const value = from.get(key)
  from.delete(key)
  return value
}

const lockPath = (): string => join(runDirectory(), 'daemon.lock')

async function lockAlone(withinMs = END_WITHIN_MS): Promise<FileLock> {
  try {
    const lock = await lockFile(lockPath(), { withinMs, removeAfter: true })
    if (lock.wasLeft) await endOrphans()
    return lock
  } catch (cause) {
    if (!hasCode(cause, 'try-again')) throw unusable(cause)
    throw new TsnetError(
      'conflict',
      `a daemon runs already on ${runDirectory()}; stop it first, or take over with --replace`,
      { cause },
    )
  }
}

function reread(path: string, current: Settings, log: (line: string) => void): Settings {
  try {
    const settings = readSettings(path)
    log(`settings read again from ${path}`)
    return settings
  } catch (thrown) {
    log(`settings stay as they are: ${messageOf(thrown)}`)
    return current
  }
}

const endSignal = (): Promise<string> =>
  new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
