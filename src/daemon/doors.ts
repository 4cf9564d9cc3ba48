/** The sockets at which a daemon is asked, from the moment that they are there until they are closed. */

import { createServer, type Server } from 'node:net'
import { callSocket, dockerSocket } from '../control/control.ts'
import { type Listening, listen, listenAt } from './listen.ts'

export class Doors implements Disposable {
  /** Of people's commands, successors and placeholders. */
  readonly control = createServer()
  /** Of runtimes' calls, by their launchers. */
  readonly calls = createServer()
  /** Of dockerd's questions to its drivers. */
  readonly drivers: Server
  #listening: Listening[] = []
  /** The control socket, where it is a service manager's. */
  handed: number | undefined

  constructor(drivers: Server) {
    this.drivers = drivers
  }

  /**
   * Listens; nobody finds the sockets before they are named.
   * @param handed a predecessor's control socket, where it is a service manager's
   * @param warn hears of connections that could not be accepted
   */
  async open(handed: number | undefined, warn: (line: string) => void): Promise<readonly Listening[]> {
    const control = await listen(this.control, warn, handed)
    this.handed = control.handed
    this.#listening = [
      await listenAt(this.calls, callSocket(), warn),
      await listenAt(this.drivers, dockerSocket(), warn),
      control,
    ]
    return this.#listening
  }

  /** A successor has the names. A service manager's socket is one for both of us: its callers are his. */
  leave(): void {
    if (this.handed !== undefined) this.control.close()
  }

  /** Takes no more callers; those who are connected stay. */
  close(): void {
    for (const each of [this.calls, this.drivers, this.control]) each.close()
  }

  /** Nobody serves after us. */
  removeNames(): void {
    for (const each of this.#listening) each.remove()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
