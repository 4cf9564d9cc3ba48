/**
 * The daemon's sockets: the control socket may be the service manager's, else they are our own.
 *
 * Ours is made under a name of this process and renamed: who connects finds the old one or the new one, and
 * never none. The name it was made under is what Node removes when it closes. A service manager's stays
 * where it is, and a successor gets its descriptor.
 *
 * A successor's is renamed by its predecessor (`nameSocketsOf`): so who has the name is who serves, whichever of the
 * two dies, and none of them can be in doubt about it.
 */

import { existsSync, renameSync, rmSync } from 'node:fs'
import type { ListenOptions, Server } from 'node:net'
import { callSocket, controlSocket, dockerSocket } from '../control/control.ts'
import { messageOf } from '../model/errors.ts'
import { activatedSocket } from './readiness.ts'

/** Callers that may wait to be accepted, as far as net.core.somaxconn allows. */
const BACKLOG = 4096

export interface Listening {
  /** The service manager's socket, which a successor has to be handed. */
  handed?: number
  /** True once it can be found: a service manager's always. */
  readonly isNamed: boolean
  /** From now on whoever connects finds it. */
  name(): void
  /** Removes the socket's name, where it is ours. */
  remove(): void
}

const underProcess = (path: string, pid: number): string => `${path}.${pid}`

/**
 * Gives the sockets of another daemon their names, as `name` does. The control socket is the last, and decides.
 * @throws Node's error; the names are as they were then
 */
export function nameSocketsOf(pid: number): void {
  for (const path of [callSocket(), dockerSocket(), controlSocket()]) {
    // Not there: a service manager's, or of an earlier build, which has seen to it already.
    if (existsSync(underProcess(path, pid))) renameSync(underProcess(path, pid), path)
  }
}

/**
 * @param handed a predecessor's service manager's socket
 * @param log hears of connections that could not be accepted
 */
export async function listen(
  server: Server,
  log: (line: string) => void,
  handed = activatedSocket(),
): Promise<Listening> {
  if (handed === undefined) return listenAt(server, controlSocket(), log)
  await begin(server, { fd: handed }, log)
  return { handed, isNamed: true, name() {}, remove() {} }
}

/** Listens on a socket of our own, for root alone, which nobody finds before it is named. */
export async function listenAt(
  server: Server,
  path: string,
  log: (line: string) => void,
): Promise<Listening> {
  const temporary = underProcess(path, process.pid)
  const before = process.umask(0o177)
  const begun = begin(server, { path: temporary, backlog: BACKLOG }, log)
  process.umask(before)
  await begun
  return {
    get isNamed() {
      return !existsSync(temporary)
    },
    name: () => renameSync(temporary, path),
    remove: () => rmSync(path, { force: true }),
  }
}

function begin(server: Server, where: ListenOptions | { fd: number }, log: (line: string) => void) {
  return new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      // Out of descriptors, say: whoever asked is let go, and the next one may be luckier.
      server.on('error', thrown => log(`a socket of the daemon: ${messageOf(thrown)}`))
      resolve()
    })
  })
}
