/** A worker's data plane: its loop, what its services share, and the services by the publication's id. */

import { Descriptors, descriptorLimit } from '../../ffi/reactor/descriptors.ts'
import { Reactor } from '../../ffi/reactor/reactor.ts'
import type { Assignment, Command } from '../assignment.ts'
import { Datagrams } from '../datagram/batch.ts'
import { DatagramService } from '../datagram/datagram.ts'
import { Room } from '../datagram/room.ts'
import type { Session } from '../datagram/session.ts'
import { Dialer } from '../dial.ts'
import { closeFrozen, type FrozenClient } from '../frozen.ts'
import { BUFFER_BYTES, PIPE_BYTES } from '../stream/half.ts'
import { Pipes } from '../stream/pipes.ts'
import { StreamService } from '../stream/stream.ts'
import type { Plane, Service } from './service.ts'

export class DataPlane implements Plane {
  readonly reactor: Reactor
  readonly dialer: Dialer
  readonly tools: Plane['tools']
  readonly #services = new Map<string, Service>()
  #datagrams: Datagrams | undefined
  /** All UDP sessions: however many there are, half of the descriptors are left to others. */
  #sessions: Room<Session> | undefined

  /** @param marks see Descriptors */
  constructor(marks: SharedArrayBuffer, onFault: (thrown: unknown) => void) {
    const descriptors = new Descriptors(marks)
    this.dialer = new Dialer(descriptors)
    this.reactor = new Reactor(descriptors, onFault)
    this.tools = { buffer: new Uint8Array(BUFFER_BYTES), pipes: new Pipes(descriptors, PIPE_BYTES) }
  }

  /** Carries out a command, and calls back when that is done. */
  obey(command: Command, done: (frozen?: FrozenClient[]) => void): void {
    if (command.kind === 'serve') this.#serve(command.assignment)
    else if (command.kind === 'retarget') this.#services.get(command.id)?.retarget(command.destinations)
    else if (command.kind === 'silence') this.#services.get(command.id)?.silence()
    else if (command.kind === 'drain') {
      this.#drain(command.id, command.drainMs, done)
      return
    } else if (command.kind === 'freeze') {
      done(this.#freeze())
      return
    } else if (command.kind === 'thaw') this.#thaw(command.clients)
    else this.reactor.stop()
    done()
  }

  #freeze(): FrozenClient[] {
    return [...this.#services].flatMap(([id, service]) => service.freeze().map(each => ({ ...each, id })))
  }

  #thaw(clients: FrozenClient[]): void {
    // Each takes its place before those who were used since.
    for (const client of clients.toSorted((a, b) => idleMsOf(b) - idleMsOf(a))) {
      this.reactor.attempt(() => {
        if (!this.#services.get(client.id)?.adopt(client)) closeFrozen([client])
      })
    }
    for (const service of this.#services.values()) service.thaw()
  }

  #serve(assignment: Assignment): void {
    const { id } = assignment
    if (assignment.protocol === 'udp') {
      this.#datagrams ??= new Datagrams()
      this.#sessions ??= new Room(Math.ceil(descriptorLimit() / 2 / assignment.counters.length))
      this.#services.set(id, new DatagramService(this, assignment, this.#datagrams, this.#sessions))
    } else this.#services.set(id, new StreamService(this, assignment))
  }

  #drain(id: string, drainMs: number, done: () => void): void {
    const service = this.#services.get(id)
    const gone = () => {
      if (service !== undefined) this.reactor.timers.clear(service)
      this.#services.delete(id)
      done()
    }
    if (service === undefined) done()
    else service.drain(drainMs, gone)
  }
}

const idleMsOf = (client: FrozenClient): number => (client.kind === 'session' ? (client.idleMs ?? 0) : 0)
