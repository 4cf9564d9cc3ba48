/**
 * The control socket: the service manager's, or one of our own.
 *
 * Ours is made under a name of this process and renamed: who connects finds the old one or the new one, and
 * never none. The name it was made under is what Node removes when it closes. A service manager's stays
 * where it is, and a successor gets its descriptor.
 */

import { renameSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { controlSocket } from '../control/control.ts'
import { messageOf } from '../model/errors.ts'
import { activatedSocket } from './readiness.ts'

export interface Listening {
  /** The service manager's socket, which a successor has to be handed. */
  handed?: number
  /** Removes the socket's name, where it is ours. */
  remove(): void
}

/**
 * @param handed a predecessor's service manager's socket
 * @param log hears of connections that could not be accepted
 */
export function listen(
  server: Server,
  log: (line: string) => void,
  handed = activatedSocket(),
): Promise<Listening> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const listening = (what: Listening) => {
      server.off('error', reject)
      // Out of descriptors, say: whoever asked is let go, and the next one may be luckier.
      server.on('error', thrown => log(`the control socket: ${messageOf(thrown)}`))
      resolve(what)
    }
    if (handed !== undefined) {
      server.listen({ fd: handed }, () => listening({ handed, remove() {} }))
      return
    }
    const path = `${controlSocket()}.${process.pid}`
    const before = process.umask(0o177)
    server.listen(path, () => {
      renameSync(path, controlSocket())
      listening({ remove: () => rmSync(controlSocket(), { force: true }) })
    })
    process.umask(before)
  })
}
