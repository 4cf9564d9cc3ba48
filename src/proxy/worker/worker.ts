/**
 * The program of a worker thread: the loop, which sleeps in epoll_wait and nowhere else.
 *
 * While it runs, Node's own event loop does not: nothing of it is used from then on that libuv does on threads of its own
 * (ffi/thread).
 */

import { parentPort, workerData } from 'node:worker_threads'
import { Commands } from '../../ffi/reactor/commands.ts'
import { EPOLLIN } from '../../ffi/reactor/reactor.ts'
import { confine } from '../../ffi/thread/thread.ts'
import { messageOf } from '../../model/errors.ts'
import type { Command, Report } from '../assignment.ts'
import { LostThread } from '../dial.ts'
import type { FrozenClient } from '../frozen.ts'
import { DataPlane } from './plane.ts'

/** What a worker is started with. */
export interface WorkerData {
  /** eventfd(2), the maker's. */
  wake: number
  /** Descriptors.table() */
  marks: SharedArrayBuffer
}

function obey(command: Command): void {
  const done = (frozen?: FrozenClient[]) =>
    report({ kind: 'done', request: command.request, ...(frozen !== undefined && { frozen }) })
  try {
    plane.obey(command, done)
  } catch (thrown) {
    onFault(thrown)
    done()
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
plane.reactor.add(wake, EPOLLIN, new Commands(parentPort, obey), 0)
// What is left: entering the namespaces of targets, and reaching unix sockets of any user.
confine('SYS_ADMIN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH')
plane.reactor.run()
