/**
 * The daemon: one process that listens on every published port.
 *
 *     tsnet publish ──▶ control socket ──▶ Publisher ──▶ Proxy (worker threads) ──▶ containers
 *                                             │
 *                                             └──▶ rules, files under the run directory
 *
 * It is speed, never truth: what is published is in files and in the kernel, and a daemon that starts
 * serves it again. One runs at a time on a run directory (the lock on `daemon.lock` dies with it).
 *
 * Start: lock → proxy → serve what is written down → listen → say so (stdout, sd_notify).
 * Every second it looks after the containers. SIGHUP reads the settings again. SIGTERM and SIGINT end it:
 * it stops accepting, connections may finish until the deadline, rules and files stay for its successor.
 */

import { mkdirSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { controlSocket } from '../control/control.ts'
import { ControlServer } from '../control/server.ts'
import { type FileLock, lockFile } from '../ffi/lock.ts'
import { forcedBackend } from '../model/environment.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import type { Publication } from '../model/publication.ts'
import { prepareNft } from '../nat/nat.ts'
import { AttachmentPorts } from '../network/attachment-ports.ts'
import { type PublicationEvent, Publisher } from '../network/publisher.ts'
import { removeEmptyParents, runDirectory } from '../network/state.ts'
import { startProxy } from '../proxy/proxy.ts'
import { activatedSocket, notify } from './readiness.ts'
import { handlersOf } from './requests.ts'
import { readSettings, type Settings } from './settings.ts'

export interface DaemonOptions {
  settingsPath: string
  /** Hears one line for each thing that happens. */
  log: (line: string) => void
  /** Is called once, when everything that is written down is served and the control socket answers. */
  ready: (line: string) => void
}

/** Runs until a signal ends it. @throws TsnetError when it cannot start */
export async function runDaemon({ settingsPath, log, ready }: DaemonOptions): Promise<void> {
  let settings = readSettings(settingsPath)
  const backend = forcedBackend(process.env)
  mkdirSync(runDirectory(), { recursive: true, mode: 0o700 })
  using alone = await lockAlone()
  prepareNft() // before there are a thousand listening sockets
  const proxy = startProxy({ workers: settings.workers, onFault: log })
  const server = createServer()
  let control: ControlServer | undefined
  const tell = (event: PublicationEvent, about: Publication) => {
    log(
      `${event} ${about.hostPort}/${about.protocol} → ${about.containers.map(each => each.name).join(', ')}`,
    )
    control?.tell({ event, about })
  }
  const publisher = new Publisher(proxy, { tell, backend })
  const attachments = new AttachmentPorts(proxy)
  const fault = (owner: string, thrown: unknown) =>
    log(`ports of ${owner} are not served: ${messageOf(thrown)}`)
  await publisher.restore()
  await attachments.tend(fault)
  control = new ControlServer(server, handlersOf(publisher, attachments))
  await listen(server)
  const look = async () => {
    await publisher.tend()
    await attachments.tend(fault)
  }
  const tending = tend(look, () => settings.tendMs, log)
  const reload = () => {
    settings = reread(settingsPath, settings, log)
  }
  process.on('SIGHUP', reload)
  ready(`tsnet daemon ready on ${controlSocket()} (pid ${process.pid})`)
  notify('READY=1')

  log(`${await endSignal()}: stopping`)
  notify('STOPPING=1')
  process.off('SIGHUP', reload)
  tending.stop()
  server.close()
  control.close()
  await proxy.close({ drainMs: settings.drainMs })
  alone[Symbol.dispose]()
  removeEmptyParents(controlSocket())
}

async function lockAlone(): Promise<FileLock> {
  try {
    return await lockFile(join(runDirectory(), 'daemon.lock'), { withinMs: 500, removeAfter: true })
  } catch (cause) {
    if (!hasCode(cause, 'try-again')) throw cause
    throw new TsnetError(
      'conflict',
      `a daemon runs already on ${runDirectory()}; stop it first, or take over with --replace`,
      { cause },
    )
  }
}

/** On the socket that a service manager opened, or on our own. */
function listen(server: Server): Promise<void> {
  const fd = activatedSocket()
  const path = controlSocket()
  // We hold the lock, so whoever made this socket is gone.
  if (fd === undefined) rmSync(path, { force: true })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const before = process.umask(0o177)
    if (fd === undefined) server.listen(path, () => resolve())
    else server.listen({ fd }, () => resolve())
    process.umask(before)
  })
}

/** Looks after the publications again and again, each time after the last has ended. */
function tend(
  look: () => Promise<void>,
  pauseMs: () => number,
  log: (line: string) => void,
): { stop(): void } {
  let timer: NodeJS.Timeout
  const again = () => {
    timer = setTimeout(() => {
      look().then(again, thrown => {
        log(`looking after containers failed: ${messageOf(thrown)}`)
        again()
      })
    }, pauseMs())
  }
  again()
  return { stop: () => clearTimeout(timer) }
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
