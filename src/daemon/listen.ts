/**
 * The control socket. It is made under a name of this process and renamed: who connects finds the old one
 * or the new one, and never none. The name it was made under is what Node removes when it closes.
 */

import { renameSync } from 'node:fs'
import type { Server } from 'node:net'
import { controlSocket } from '../control/control.ts'
import { activatedSocket } from './readiness.ts'

/** On the socket that a service manager opened, or on our own. */
export function listen(server: Server): Promise<void> {
  const fd = activatedSocket()
  const path = `${controlSocket()}.${process.pid}`
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    if (fd !== undefined) {
      server.listen({ fd }, () => resolve())
      return
    }
    const before = process.umask(0o177)
    server.listen(path, () => {
      renameSync(path, controlSocket())
      resolve()
    })
    process.umask(before)
  })
}
