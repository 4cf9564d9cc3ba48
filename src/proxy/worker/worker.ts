/**
 * The program of a worker thread: the loop, which sleeps in epoll_wait and nowhere else.
 *
 * Commands come through the message port; an eventfd in the epoll set says that there are some. While the
 * loop runs, Node's own event loop does not: nothing of it is used from then on that libuv does on threads of its own
 * (ffi/thread).
 */

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { libc } from '../../ffi/ffi.ts'
import { confine } from '../../ffi/thread/thread.ts'
import { messageOf } from '../../model/errors.ts'
import type { Command, Report } from '../assignment.ts'
import { LostThread } from '../dial.ts'
import type { FrozenClient } from '../frozen.ts'
import { DataPlane } from './plane.ts'
import { EPOLLIN, type Source } from './reactor.ts'

/** What a worker is started with. */
export interface WorkerData {
  /** eventfd(2), the maker's. */
  wake: number
  /** Descriptors.table() */
  marks: SharedArrayBuffer
}

class CommandQueue implements Source {
  readonly #bell = new Uint8Array(8)

  ready(wake: number): void {
    libc.read(wake, this.#bell, this.#bell.length)
    for (;;) {
      const next = parentPort === null ? undefined : receiveMessageOnPort(parentPort)
      if (next === undefined) return
      this.#obey(next.message)
    }
  }

  fail(): void {}

  #obey(command: Command): void {
    const done = (frozen?: FrozenClient[]) =>
      report({ kind: 'done', request: command.request, ...(frozen !== undefined && { frozen }) })
    try {
      plane.obey(command, done)
    } catch (thrown) {
      onFault(thrown)
      done()
    }
  }
}

function report(what: Report): void {
  parentPort?.postMessage(what)
}

function onFault(thrown: unknown): void {
  if (thrown instanceof LostThread) throw thrown
  report({
    kind: 'fault',
    message: thrown instanceof Error ? (thrown.stack ?? thrown.message) : messageOf(thrown),
  })
}

const { wake, marks }: WorkerData = workerData
const plane = new DataPlane(marks, onFault)
plane.reactor.add(wake, EPOLLIN, new CommandQueue(), 0)
// What is left: entering the namespaces of targets, and reaching unix sockets of any user.
confine('SYS_ADMIN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH')
plane.reactor.run()
