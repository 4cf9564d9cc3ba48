/**
 * The daemon: one process that listens on every published port, and does the runtimes' calls.
 *
 *     tsnet publish ──▶ control socket ──▶ Publisher ──▶ Proxy (worker threads) ──▶ containers
 *                                             │
 *                                             └──▶ rules, files under the run directory
 *     runtime ──▶ launcher ──▶ call socket ──▶ FastPath ──▶ cni/, netavark/ (calls/fast-path.ts)
 *                                    └─────▶ commands, as the first line (calls/commands.ts)
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

import { setTimeout as sleep } from 'node:timers/promises'
import { controlSocket } from '../control/control.ts'
import { ControlServer, type Handlers } from '../control/server.ts'
import { readAgain, readSettings, type Settings } from '../control/settings.ts'
import { giveBackMemory } from '../ffi/thread/give-back.ts'
import { forcedBackend } from '../model/environment.ts'
import { messageOf } from '../model/errors.ts'
import { present } from '../model/present.ts'
import { keepSockets } from '../netlink/warm-sockets.ts'
import { type ProxyOptions, startProxy } from '../proxy/proxy.ts'
import { makeRunDirectory, removeEmptyParents } from '../records/run-directory.ts'
import { tidyRunDirectory } from '../records/tidy.ts'
import {
  inheritedLock,
  lockAlone,
  lockWhenNobodyServes,
  type Place,
  SUCCESSION_WITHIN_MS,
  takePlace,
} from './alone.ts'
import { type Asked, answerCalls } from './calls/calls.ts'
import { handleCommand, type RunCommand } from './calls/commands.ts'
import { FastPath } from './calls/fast-path.ts'
import { isNetavarks } from './calls/netavark-call.ts'
import { hearing } from './calls/on-behalf.ts'
import { ownAsker } from './calls/own.ts'
import { leaveControlGroup } from './control-group.ts'
import { Doors } from './doors.ts'
import { redirectKey } from './handover.ts'
import type { Greeting } from './handover-words.ts'
import { afterWork, whenIdle } from './idle.ts'
import { keepWhole } from './keep-whole.ts'
import { serveDocker } from './libnetwork/libnetwork.ts'
import { nameSocketsOf } from './listen.ts'
import { Troubles } from './observing/troubles.ts'
import { Parts } from './parts.ts'
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
  /** As the setting of that name, which it overrules. */
  metrics?: string | undefined
  /** Does commands for others. */
  command: RunCommand
  /** Hears one line for each thing that happens. */
  log: (line: string) => void
  /** Is called once, when everything that is written down is served and the control socket answers. */
  ready: (line: string) => void
}

/** A new host that does not reach etcd is ready all the same. */
const HOSTS_WITHIN_MS = 3_000

/** Runs until a signal or a successor ends it. @throws TsnetError when it cannot start */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { settingsPath, log, ready, idleMs } = options
  const troubles = new Troubles()
  const warn = (line: string): void => {
    troubles.note(line)
    log(line)
  }
  let settings = readSettings(settingsPath)
  const backend = forcedBackend(process.env)
  // Of a unit of its own it stays in that.
  if (idleMs !== undefined && process.env.NOTIFY_SOCKET === undefined) leaveControlGroup()
  makeRunDirectory()
  const place = await placeFor(options)
  using predecessor = place.predecessor
  let lock = place.lock
  keepSockets()
  // Closed whatever happens: its threads would keep us there.
  await using proxy = startProxy(proxyOptions(settings, place.greeting, warn))
  const redirects = settings.redirect === 'on'
  const parts = new Parts(proxy, { redirects, backend, log, warn, tell: told => control.tell(told) })
  const { events } = parts.observing
  const tending = tend(
    () => parts.look(),
    () => settings.tendMs,
    warn,
  )
  process.on('SIGHUP', () => {
    settings = readAgain(settingsPath, settings, warn)
    tending.paceChanged()
    void parts.hostNetworks.tend(true)
  })
  using doors = new Doors(serveDocker(parts.docker, work => succession.whileServing(work)))
  let left: Promise<void> | undefined
  const succession = new Succession(proxy, parts.placeholders, tending, {
    keys: () =>
      present({
        control: doors.handed,
        lock: lock?.number,
        redirect: redirectKey(parts.front),
        resolvers: parts.names.doors,
      }),
    give: pid => {
      if (pid !== undefined) nameSocketsOf(pid)
      if (pid !== undefined) events.handedOver(pid)
    },
    log,
    leave: () => {
      doors.leave()
      left = parts.leave()
    },
  })
  const operations = handlersOf(parts, troubles)
  const handlers = { ...succession.guard(operations, personal), ...succession.handlers }
  const control = new ControlServer(doors.control, handlers, count => events.heard(count > 0), hearing)

  // It takes nobody before its word is given: until then the predecessor may have to go on.
  if (predecessor !== undefined) await proxy.freeze()
  const inherited = await predecessor?.handOver()
  // One that dies or ends instead leaves what is written down, and its lock.
  if (inherited === undefined) lock ??= await lockAlone(SUCCESSION_WITHIN_MS)
  await parts.restore(inherited)
  if (inherited?.lock !== undefined) lock = inheritedLock(inherited.lock)
  if (inherited?.notify !== undefined) process.env.NOTIFY_SOCKET ??= inherited.notify
  const listening = await doors.open(inherited?.control, warn)
  const fastPath = new FastPath(parts.holder)
  answerCalls(doors.calls, answering(fastPath, operations, succession, parts, options.command), warn)
  if (inherited !== undefined) await predecessor?.replace(listening)
  // One of an earlier build names those that it knows.
  for (const each of listening) if (!each.isNamed) each.name()
  if (predecessor !== undefined) await proxy.thaw(inherited?.clients ?? [])
  await parts.names.begin(inherited?.doors)
  lock ??= await lockAlone(SUCCESSION_WITHIN_MS)
  succession.begin()
  const whole = keepWhole(
    { log, warn },
    () => fastPath.busy,
    parts.observing.reconciled,
    () => parts.hostNetworks.rulesLost(),
  )
  whole?.begin()
  using _ = afterWork(giveBackMemory)

  // Heard from the moment that somebody may send it.
  const ended = endSignal()
  await Promise.race([ended, parts.hostNetworks.settled(HOSTS_WITHIN_MS)])
  ready(`tsnet daemon ready on ${controlSocket()} (pid ${process.pid})`)
  notify(`MAINPID=${process.pid}\nREADY=1`)

  // The one before us was killed, and whatever it was at.
  if (lock.wasLeft) await tidyRunDirectory().catch(thrown => warn(messageOf(thrown)))
  await parts.observing.beginMetrics(options.metrics ?? settings.metrics)

  const isNeeded = () => parts.isNeeded || control.connected > 0 || fastPath.busy
  const idle = idleMs === undefined ? [] : [whenIdle(idleMs, isNeeded)]
  const why = await Promise.race([ended, succession.done, ...idle])
  log(`${why}: stopping`)
  await succession.end()
  const late = sleep(settings.drainMs, undefined, { ref: false })
  // Whoever wants a daemon from now on starts one, which waits for us.
  doors.close()
  await Promise.race([whole?.stop(), late])
  if (succession.isOver) {
    lock.leave()
    await Promise.race([control.deserted(), late])
    await succession.allDone()
    control.close()
    await proxy.close()
    await Promise.race([left, late])
    return
  }
  doors.removeNames()
  await Promise.race([succession.allDone(), late])
  await Promise.race([tending.stop(), late])
  control.close()
  notify('STOPPING=1')
  await parts.end()
  await proxy.close({ drainMs: settings.drainMs })
  lock[Symbol.dispose]()
  removeEmptyParents(controlSocket())
}

/** @throws TsnetError `conflict`: another has it, and is not to be replaced */
async function placeFor({ replace = false, idleMs }: DaemonOptions): Promise<Place> {
  if (replace) return takePlace()
  return { lock: await (idleMs === undefined ? lockAlone() : lockWhenNobodyServes()) }
}

/** A successor has as many workers as its predecessor has sockets for. */
const proxyOptions = (
  settings: Settings,
  greeting: Greeting | undefined,
  onFault: (line: string) => void,
): ProxyOptions => ({
  workers: (greeting ?? settings).workers,
  defaults: {
    maxSessions: settings.udpSessionsPerPort,
    maxSessionsPerSource: settings.udpSessionsPerClient,
    sessionIdleMs: settings.udpIdleMs,
  },
  onFault,
})

/** Who has been succeeded does no more calls, and commands only to their end. */
function answering(
  fastPath: FastPath,
  operations: Handlers,
  succession: Succession,
  parts: Pick<Parts, 'lookSoon'>,
  command: RunCommand,
): (asked: Asked) => Promise<void> {
  const own = ownAsker(operations, succession)
  return async asked => {
    if (asked.kind === 'call' || isNetavarks(asked))
      await succession.whileServing(() => fastPath.handle(asked)).finally(() => parts.lookSoon())
    else if (!succession.isOver)
      await handleCommand(
        asked,
        (words, streams) => command(words, streams, own),
        () => succession.hasEnded,
      )
  }
}

const endSignal = (): Promise<string> =>
  new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
