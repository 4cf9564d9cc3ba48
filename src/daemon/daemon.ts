/**
 * The daemon: one process that listens on every published port, and does the runtimes' calls.
 *
 *     tsnet publish ──▶ control socket ──▶ Publisher ──▶ Proxy (worker threads) ──▶ containers
 *                                             │
 *                                             └──▶ rules, files under the run directory
 *     runtime ──▶ launcher ──▶ call socket ──▶ FastPath ──▶ cni/ (calls/fast-path.ts)
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

import { closeSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { callSocket, controlSocket, dockerSocket } from '../control/control.ts'
import { ControlServer } from '../control/server.ts'
import { readAgain, readSettings } from '../control/settings.ts'
import { giveBackMemory } from '../ffi/thread/give-back.ts'
import { hasKnown, Tender } from '../libnetwork/libnetwork.ts'
import { forcedBackend } from '../model/environment.ts'
import { messageOf } from '../model/errors.ts'
import { present } from '../model/present.ts'
import { everyOne } from '../model/undo.ts'
import { keepSockets } from '../netlink/warm-sockets.ts'
import { hostOf } from '../networks/networks.ts'
import { startProxy } from '../proxy/proxy.ts'
import { AttachmentPorts } from '../publish/attachment-ports.ts'
import { Front } from '../publish/front/front.ts'
import { Publisher } from '../publish/publish.ts'
import { makeRunDirectory, removeEmptyParents } from '../records/run-directory.ts'
import { tidyRunDirectory } from '../records/tidy.ts'
import { inheritedLock, lockAlone, lockWhenNobodyServes, SUCCESSION_WITHIN_MS, takePlace } from './alone.ts'
import { type Asked, answerCalls } from './calls/calls.ts'
import { handleCommand, type RunCommand } from './calls/commands.ts'
import { FastPath } from './calls/fast-path.ts'
import { hearing } from './calls/on-behalf.ts'
import { ownAsker } from './calls/own.ts'
import { leaveControlGroup } from './control-group.ts'
import { redirectKey } from './handover.ts'
import { HostNetworks } from './hosts/hosts.ts'
import { OwnNames } from './hosts/own-names.ts'
import { afterWork, whenIdle } from './idle.ts'
import { keepWhole } from './keep-whole.ts'
import { serveDocker } from './libnetwork/libnetwork.ts'
import { type Listening, listen, listenAt, nameSocketsOf } from './listen.ts'
import { holderWith } from './names/holder.ts'
import { Names } from './names/names.ts'
import { Observing } from './observing/observing.ts'
import { Troubles } from './observing/troubles.ts'
import { Placeholders } from './placeholders.ts'
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

/** Runs until a signal or a successor ends it. @throws TsnetError when it cannot start */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { settingsPath, command, log, ready, replace = false, idleMs } = options
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
  const lock = idleMs === undefined ? lockAlone : lockWhenNobodyServes
  const place = replace ? await takePlace() : { lock: await lock() }
  using predecessor = place.predecessor
  let alone = place.predecessor === undefined ? place.lock : undefined
  keepSockets()
  const { workers } = place.predecessor === undefined ? settings : place.greeting
  // Closed whatever happens: its threads would keep us there.
  await using proxy = startProxy({
    workers,
    defaults: {
      maxSessions: settings.udpSessionsPerPort,
      maxSessionsPerSource: settings.udpSessionsPerClient,
      sessionIdleMs: settings.udpIdleMs,
    },
    onFault: warn,
  })

  const front = new Front(proxy, settings.redirect === 'on', log)

  const observing = new Observing({
    proxy,
    log,
    published: () => publisher.list(),
    held: () => [...attachments.list(), ...placeholders.list()],
    tell: happened => control.tell(happened),
  })
  const { index, events } = observing
  const publisher = new Publisher(front, { tell: observing.publication, backend, warn })
  const attachments = new AttachmentPorts(front, observing.held, index, observing.passedOn)
  const names = new Names(index, log)
  const hostNetworks = new HostNetworks(log, (network, changes) => void names.tellAway(network, changes))
  const ownNames = new OwnNames(index, hostNetworks)
  const holder = holderWith(attachments, names)
  const docker = { host: hostOf(process.env), holder, log }
  const endpoints = new Tender(() => index.others().flatMap(({ value }) => value.endpoint ?? []), docker)
  const placeholders = new Placeholders(front, { tell: observing.held })
  const tending = tend(
    () =>
      everyOne([
        publisher.tend(),
        attachments.tend(),
        names.tend(),
        front.reconsider(),
        events.look(),
        hostNetworks.tend().then(() => ownNames.look()),
        endpoints.tend(),
      ]),
    () => settings.tendMs,
    warn,
  )
  process.on('SIGHUP', () => {
    settings = readAgain(settingsPath, settings, warn)
    tending.paceChanged()
    void hostNetworks.tend(true)
  })
  const server = createServer()
  const calls = createServer()
  const drivers = serveDocker(docker, work => succession.whileServing(work))
  using _ = { [Symbol.dispose]: () => [server, calls, drivers].forEach(each => void each.close()) }
  let listening: Listening | undefined
  let left: Promise<void> | undefined
  const succession = new Succession(proxy, placeholders, tending, {
    keys: () =>
      present({
        control: listening?.handed,
        lock: alone?.number,
        redirect: redirectKey(front),
        resolvers: names.doors,
      }),
    give: pid => {
      if (pid !== undefined) nameSocketsOf(pid)
      if (pid !== undefined) events.handedOver(pid)
    },
    log,
    leave: () => {
      if (listening?.handed !== undefined) server.close()
      front.close()
      observing.endMetrics()
      left = Promise.all([names.handOver(), hostNetworks.end()]).then(() => {})
    },
  })
  const operations = handlersOf(
    publisher,
    attachments,
    placeholders,
    holder,
    observing,
    hostNetworks,
    troubles,
  )
  const handlers = { ...succession.guard(operations, personal), ...succession.handlers }
  const own = ownAsker(operations, succession)
  const control = new ControlServer(server, handlers, count => events.heard(count > 0), hearing)

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
  if (inherited?.lock !== undefined) alone = inheritedLock(inherited.lock)
  if (inherited?.notify !== undefined) process.env.NOTIFY_SOCKET ??= inherited.notify
  listening = await listen(server, warn, inherited?.control)
  const fastPath = new FastPath(holder)
  const handle = async (asked: Asked) => {
    if (asked.kind === 'call')
      await succession
        .whileServing(() => fastPath.handle(asked))
        .finally(() => {
          events.soon()
          ownNames.soon()
        })
    else if (!succession.isOver)
      await handleCommand(
        asked,
        (words, streams) => command(words, streams, own),
        () => succession.hasEnded,
      )
  }
  answerCalls(calls, handle, warn)
  const called = await listenAt(calls, callSocket(), warn)
  const driven = await listenAt(drivers, dockerSocket(), warn)
  const doors = [called, driven, listening]
  if (predecessor === undefined) for (const each of doors) each.name()
  else await predecessor.replace(doors)
  // A predecessor of an earlier build knows nothing of it.
  if (!driven.isNamed) driven.name()
  if (inherited !== undefined) await proxy.thaw(inherited.clients)
  await names.begin(inherited?.doors)
  alone ??= await lockAlone(SUCCESSION_WITHIN_MS)
  succession.begin()
  const whole = keepWhole({ log, warn }, () => fastPath.busy, observing.reconciled)
  whole?.begin()
  using __ = afterWork(giveBackMemory)

  // Heard from the moment that somebody may send it.
  const ended = endSignal()
  ready(`tsnet daemon ready on ${controlSocket()} (pid ${process.pid})`)
  notify(`MAINPID=${process.pid}\nREADY=1`)

  // The one before us was killed, and whatever it was at.
  if (alone.wasLeft) await tidyRunDirectory().catch(thrown => warn(messageOf(thrown)))
  await observing.beginMetrics(options.metrics ?? settings.metrics)

  const isNeeded = () =>
    proxy.size > 0 ||
    names.isNeeded ||
    hostNetworks.isNeeded ||
    hasKnown() ||
    control.connected > 0 ||
    publisher.published().length > 0 ||
    fastPath.busy
  const why = await Promise.race([
    ended,
    succession.done,
    ...(idleMs === undefined ? [] : [whenIdle(idleMs, isNeeded)]),
  ])
  log(`${why}: stopping`)
  succession.end()
  const late = sleep(settings.drainMs, undefined, { ref: false })
  calls.close()
  drivers.close()
  // Whoever wants a daemon from now on starts one, which waits for us.
  server.close()
  await Promise.race([whole?.stop(), late])
  if (succession.isOver) {
    alone.leave()
    await Promise.race([control.deserted(), late])
    await succession.allDone()
    control.close()
    await proxy.close()
    await Promise.race([left, late])
    return
  }
  for (const each of [called, driven]) each.remove()
  await Promise.race([succession.allDone(), late])
  await Promise.race([tending.stop(), late])
  control.close()
  notify('STOPPING=1')
  front.close()
  observing.endMetrics()
  await Promise.all([names.end(), hostNetworks.end()])
  await proxy.close({ drainMs: settings.drainMs })
  listening.remove()
  alone[Symbol.dispose]()
  removeEmptyParents(controlSocket())
}

function takeOut<T>(from: Map<string, T>, key: string): T | undefined {
  const value = from.get(key)
  from.delete(key)
  return value
}

const endSignal = (): Promise<string> =>
  new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
