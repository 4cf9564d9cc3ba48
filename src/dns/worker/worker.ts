/**
 * The program of the thread that has TCP, on Node's event loop.
 *
 * It has no capability, starts no program and changes no file (ffi/thread): its sockets are made elsewhere, and so is what
 * it knows. What Node does on threads of its own it leaves alone: addresses are looked up nowhere, random bytes come from the
 * kernel.
 */

import { parentPort, workerData } from 'node:worker_threads'
import { Commands } from '../../ffi/reactor/commands.ts'
import { confine } from '../../ffi/thread/thread.ts'
import type { Ip } from '../../model/address/address.ts'
import { messageOf } from '../../model/errors.ts'
import { Forwarder, type ForwardLimits } from '../forward.ts'
import { type PermitOrder, type PermitReport, Permits } from '../permit.ts'
import { Quota } from '../quota.ts'
import { Watched, type WatchedReport } from '../watched.ts'
import { type Known, Zone } from '../zone.ts'
import { Desk } from './desk.ts'
import { Listener, type Place, tcpLimits } from './listener.ts'
import { overTcp } from './over-tcp.ts'

export type Order =
  /** What is known, by key; undefined: nothing any more. */
  | { kind: 'tell'; changes: [key: string, known: Known | undefined][] }
  /** Whom the host asks. */
  | { kind: 'upstream'; servers: readonly Ip[] }
  | { kind: 'listen'; place: Place }
  /** `finish`: what is under way is answered before it is done. */
  | { kind: 'leave'; address: Ip; finish: boolean }

export type Command = (Order & { request: number }) | PermitOrder
export type Report =
  | { kind: 'done'; request: number }
  | { kind: 'fault'; message: string }
  | PermitReport
  | WatchedReport

/** What the thread is started with. */
export interface WorkerData {
  limits: Partial<ForwardLimits>
}

const report = (what: Report): void => parentPort?.postMessage(what)
const onFault = (thrown: unknown): void =>
  report({ kind: 'fault', message: thrown instanceof Error ? (thrown.stack ?? '') : messageOf(thrown) })

const { limits }: WorkerData = workerData
const places = new Map<Ip, Listener>()
const zone = new Zone()
const permits = new Permits(zone, report)
const watched = new Watched(zone, report)
const forwarder = new Forwarder(
  overTcp,
  server => places.has(server),
  limits,
  (...told) => {
    watched.note(...told)
    return permits.before(...told)
  },
)
const desk = new Desk(zone, forwarder, () => commands.take(), onFault)
/** Connections of all places. */
const guests = new Quota(tcpLimits.connections, tcpLimits.ofOneClient)

async function obey(order: Order): Promise<void> {
  switch (order.kind) {
    case 'tell':
      for (const [key, known] of order.changes) zone.tell(key, known)
      permits.forget()
      watched.forget()
      return
    case 'upstream':
      forwarder.hosts = order.servers
      return
    case 'listen':
      places.set(order.place.address, new Listener(order.place, desk, guests, onFault))
      return
    case 'leave': {
      const listener = places.get(order.address)
      places.delete(order.address)
      await listener?.close(order.finish)
    }
  }
}

const take = (command: Command): void => {
  if (command.kind === 'permitted') {
    permits.take(command)
    return
  }
  obey(command)
    .catch(onFault)
    .finally(() => report({ kind: 'done', request: command.request }))
}
const commands = new Commands(parentPort, take)
parentPort?.on('message', take)
confine()
