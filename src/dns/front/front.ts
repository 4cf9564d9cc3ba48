/**
 * The program of the thread that containers' questions over UDP come to.
 *
 *     bridge, lo ──▶ reactor ──▶ counter.ts ──┬─ ready.ts     asked before
 *                                             ├─ answer.ts    known here
 *                                             └─ over-udp.ts  others are asked, in the same loop
 *
 * A thread of its own, since what takes most of the time of an answer is waking up: it sleeps in epoll_wait with nothing
 * around it, takes what has come at once, and answers at once. Node's event loop with its sockets takes three times as long
 * for a question, and four times the processor. Node's loop has a turn, once the answers are sent, where promises have more to
 * do (Reactor.letNode): whoever waits for others waits with them.
 *
 * It has no capability, like the other (ffi/thread). It reads by its maker's descriptors, and closes none.
 */

import { parentPort, workerData } from 'node:worker_threads'
import { Commands } from '../../ffi/reactor/commands.ts'
import { Descriptors } from '../../ffi/reactor/descriptors.ts'
import { EPOLLIN, Reactor } from '../../ffi/reactor/reactor.ts'
import { confine } from '../../ffi/thread/thread.ts'
import type { Ip } from '../../model/address/address.ts'
import { messageOf } from '../../model/errors.ts'
import { Forwarder, type ForwardLimits } from '../forward.ts'
import { type PermitOrder, type PermitReport, Permits } from '../permit.ts'
import { Watched, type WatchedReport } from '../watched.ts'
import { type Known, Zone } from '../zone.ts'
import { Batch } from './batch.ts'
import { Counter, type Desk, type Window } from './counter.ts'
import { overUdp } from './over-udp.ts'
import { Ready } from './ready.ts'

export type FrontOrder =
  | { kind: 'tell'; changes: [key: string, known: Known | undefined][] }
  /** Whom the host asks. */
  | { kind: 'upstream'; servers: readonly Ip[] }
  | { kind: 'listen'; windows: Window[] }
  /** `finish`: what is under way is answered before it is done. */
  | { kind: 'leave'; address: Ip; finish: boolean }
  | { kind: 'stop' }

export type FrontCommand = (FrontOrder & { request: number }) | PermitOrder
export type FrontReport =
  | { kind: 'done'; request: number }
  | { kind: 'fault'; message: string }
  | PermitReport
  | WatchedReport

/** What the thread is started with. */
export interface FrontData {
  bell: number
  /** Descriptors.table() */
  marks: SharedArrayBuffer
  limits: Partial<ForwardLimits>
}

const report = (what: FrontReport): void => parentPort?.postMessage(what)
const onFault = (thrown: unknown): void =>
  report({ kind: 'fault', message: thrown instanceof Error ? (thrown.stack ?? '') : messageOf(thrown) })

const { bell, marks, limits }: FrontData = workerData
const reactor = new Reactor(new Descriptors(marks), onFault)
const places = new Map<Ip, [descriptor: number, counter: Counter][]>()
const zone = new Zone()
// What comes from several servers before there is nothing else to do goes together.
const permits = new Permits(zone, report, resume => reactor.inLull({ resume, fail: () => {} }))
const watched = new Watched(zone, report)
const desk: Desk = {
  zone,
  batch: new Batch(),
  ready: new Ready(),
  forwarder: new Forwarder(
    overUdp(reactor),
    server => places.has(server),
    limits,
    (...told) => {
      watched.note(...told)
      return permits.before(...told)
    },
  ),
  hear: () => commands.take(),
  letNode: () => reactor.letNode(),
  onFault,
}

async function obey(order: FrontOrder): Promise<void> {
  switch (order.kind) {
    case 'tell':
      for (const [key, known] of order.changes) desk.zone.tell(key, known)
      desk.ready.clear()
      permits.forget()
      watched.forget()
      return
    case 'upstream':
      desk.forwarder.hosts = order.servers
      return
    case 'listen':
      for (const window of order.windows) {
        const counter = new Counter(window, desk)
        reactor.add(window.descriptor, EPOLLIN, counter, 0)
        places.set(window.address, [...(places.get(window.address) ?? []), [window.descriptor, counter]])
      }
      return
    case 'leave': {
      const there = places.get(order.address) ?? []
      places.delete(order.address)
      for (const [descriptor] of there) reactor.remove(descriptor)
      await Promise.all(there.map(([, counter]) => counter.close(order.finish)))
      return
    }
    case 'stop':
      reactor.stop()
  }
}

const commands = new Commands<FrontCommand>(parentPort, command => {
  reactor.letNode()
  if (command.kind === 'permitted') {
    permits.take(command)
    return
  }
  obey(command)
    .catch(onFault)
    .finally(() => report({ kind: 'done', request: command.request }))
})
reactor.add(bell, EPOLLIN, commands, 0)
confine()
reactor.runBesideNode()
