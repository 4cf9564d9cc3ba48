/**
 * A daemon takes over from another, of the same or another version, and nobody notices.
 *
 *     successor                                  predecessor
 *     starts, and is ready to serve
 *     ── hand-over ─────────────────────────────▶ stands still
 *     ◀── sockets and connections, by number ────
 *     copies the descriptors (pidfd_getfd)
 *     holds all of it, and listens for commands
 *     ── handed-over ───────────────────────────▶ closes its copies, and ends when nobody waits for it
 *     begins to move
 *
 * While both stand still, clients wait in the kernel. If the successor dies before the last word, or has not said
 * it after a deadline (it is stopped, swaps, hangs), the predecessor goes on as if nothing had been asked, says so and
 * closes the connection; so before that word the successor may not have taken a client, nor moved a byte of what was
 * in flight, and one that comes late ends.
 *
 * The last word is carried out by one rename(2), by which the predecessor gives the successor's sockets their names. If
 * the predecessor dies without an answer, the successor goes on: it has the names, or takes them, since nobody else
 * serves.
 *
 * Who connected to the predecessor's control socket is answered there, by the successor in truth, however
 * long that takes; who says nothing is let go after a while.
 */

import { closeSync } from 'node:fs'
import type { Fd } from '../ffi/fd.ts'
import { copyDescriptor, openProcess } from '../ffi/pidfd.ts'
import type { FrozenClient, FrozenConnection, FrozenHalf, FrozenSession, PortProxy } from '../proxy/proxy.ts'
import type { Front } from '../publish/front/front.ts'
import { ASKED_LAYOUT } from '../redirect/layout.ts'
import type { InheritedDoors } from './names/names.ts'
import type { Calls } from './placeholders.ts'

/** The event by which a predecessor says that it goes on. */
export const TAKEN_BACK = 'taken-back'

/** How long a predecessor stays for those who are just connecting. */
export const LINGER_MS = 100

/** What is handed over, as JSON. Numbers are the predecessor's. */
export interface Handover {
  pid: number
  workers: number
  /** By publication: for each worker, its sockets. */
  sockets: Record<string, number[][]>
  connections: WireConnection[]
  /** Absent in older versions, whose UDP clients begin anew. */
  sessions?: WireSession[]
  /** Which of the publications are placeholders'. */
  placeholders?: Calls
  /** The control socket, where it is a service manager's. */
  control?: number
  /** Where the service manager listens, NOTIFY_SOCKET. */
  notify?: string
  /** The lock that only one daemon holds, which is never free in between. Absent in older versions. */
  lock?: number
  /** The predecessor gives the successor's sockets their names; in older versions the successor does. */
  names?: true
  /** Where names are told, by address: sockets. */
  resolvers?: InheritedDoors
  /** What redirected sockets asked for, a map, and how it is laid out. */
  redirect?: { asked: number; layout: number }
}

type WireHalf = Omit<FrozenHalf, 'pending'> & { pending?: string }
type WireConnection = Omit<FrozenConnection, 'kind' | 'up' | 'down'> & { up: WireHalf; down: WireHalf }
type WireSession = Omit<FrozenSession, 'kind'>

/** What a proxy that stands still hands over. */
export function describeHandover(
  proxy: PortProxy,
  clients: FrozenClient[],
  placeholders: Calls,
  door: Pick<Handover, 'control' | 'lock' | 'redirect' | 'resolvers'>,
): Handover {
  // What is being withdrawn ends here.
  const ids = proxy.published
  const { NOTIFY_SOCKET } = process.env
  return {
    pid: process.pid,
    workers: proxy.workers,
    sockets: Object.fromEntries(ids.map(id => [id, proxy.sockets(id)])),
    connections: clients
      .filter(each => each.kind === 'connection')
      .map(each => ({ ...each, up: toWire(each.up), down: toWire(each.down) })),
    sessions: clients.filter(each => each.kind === 'session'),
    placeholders,
    names: true,
    ...door,
    ...(NOTIFY_SOCKET && { notify: NOTIFY_SOCKET }),
  }
}

/** What a successor goes on with. Numbers are its own. */
export interface Inheritance {
  /** The predecessor. */
  from: Fd
  /** It gives our sockets their names. */
  names: boolean
  sockets: Map<string, number[][]>
  clients: FrozenClient[]
  placeholders: Calls
  control?: number
  notify?: string
  lock?: number
  asked?: number
  doors?: InheritedDoors
}

/** Copies all that is handed over. @throws SystemError; then nothing is copied */
export function inherit(handover: Handover): Inheritance {
  const from = openProcess(handover.pid)
  const copies: number[] = []
  try {
    return copied(handover, from, number => {
      const copy = copyDescriptor(from, number)
      copies.push(copy)
      return copy
    })
  } catch (thrown) {
    // A copy of a listener would keep its port from whoever serves it next.
    for (const copy of copies) closeSync(copy)
    from[Symbol.dispose]()
    throw thrown
  }
}

function copied(handover: Handover, from: Fd, copy: (number: number) => number): Inheritance {
  const { sockets, connections, sessions = [], placeholders = {}, control, notify, lock } = handover
  const { redirect, names = false, resolvers = {} } = handover
  return {
    from,
    names,
    sockets: new Map(Object.entries(sockets).map(([id, all]) => [id, all.map(each => each.map(copy))])),
    clients: [
      ...connections.map(
        ({ target, ...each }): FrozenConnection => ({
          ...each,
          kind: 'connection',
          client: copy(each.client),
          ...(target !== undefined && { target: copy(target) }),
          up: fromWire(each.up),
          down: fromWire(each.down),
        }),
      ),
      ...sessions.map((each): FrozenSession => ({ ...each, kind: 'session', target: copy(each.target) })),
    ],
    placeholders,
    ...(control !== undefined && { control: copy(control) }),
    ...(notify !== undefined && { notify }),
    ...(lock !== undefined && { lock: copy(lock) }),
    doors: Object.fromEntries(
      Object.entries(resolvers).map(([address, doors]) => [
        address,
        doors.map(door => ({ ...door, descriptor: copy(door.descriptor) })),
      ]),
    ),
    ...(redirect?.layout === ASKED_LAYOUT && { asked: copy(redirect.asked) }),
  }
}

/** What a successor needs to go on for redirected sockets. */
export const redirectKey = ({ asked }: Front): Handover['redirect'] =>
  asked === undefined ? undefined : { asked, layout: ASKED_LAYOUT }

const toWire = ({ pending, ...half }: FrozenHalf): WireHalf => ({
  ...half,
  ...(pending !== undefined && { pending: Buffer.from(pending).toString('base64') }),
})

const fromWire = ({ pending, ...half }: WireHalf): FrozenHalf => ({
  ...half,
  ...(pending !== undefined && { pending: new Uint8Array(Buffer.from(pending, 'base64')) }),
})
