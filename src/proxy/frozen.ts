/**
 * Clients that stand still, as plain values: what one process tells another that takes them over.
 *
 * Descriptor numbers are those of the process that froze; whoever thaws has copies under numbers of its
 * own. What was read and not sent yet travels as bytes.
 */

import { libc } from '../ffi/ffi.ts'

export type FrozenClient = FrozenConnection | FrozenSession

/** As the service knows it that a client is of. */
export type FrozenHere<Client = FrozenClient> = Client extends unknown ? Omit<Client, 'id' | 'worker'> : never

interface Frozen {
  /** The publication's id. */
  id: string
  /** Index of the worker that served it, whose sockets the kernel goes on choosing for it; absent: any. */
  worker?: number
  /** Index of the target. */
  choice: number
}

export interface FrozenConnection extends Frozen {
  kind: 'connection'
  /** Index of the published port. */
  port: number
  client: number
  /** Absent: no target has answered yet. */
  target?: number
  up: FrozenHalf
  down: FrozenHalf
}

export interface FrozenHalf {
  /** The sender has ended its stream. */
  ended: boolean
  /** And the receiver was told. */
  endPassed: boolean
  /** Read and not sent yet. */
  pending?: Uint8Array
}

/** A UDP client's. */
export interface FrozenSession extends Frozen {
  kind: 'session'
  /** Index of the published socket. */
  socket: number
  /** The socket connected to the target. */
  target: number
  /** It has answered. */
  answered: boolean
  /** Since the last datagram either way. Absent in older versions: none. */
  idleMs?: number
  /** struct sockaddr of the client, in 32-bit words. */
  name: number[]
  /** struct cmsghdr that says which address the client asked, in 32-bit words; empty where it need not. */
  control: number[]
}

/** Closes the sockets of clients with whom nobody goes on here. */
export function closeFrozen(clients: readonly FrozenClient[]): void {
  for (const client of clients) {
    if (client.kind === 'connection') libc.close(client.client)
    if (client.target !== undefined) libc.close(client.target)
  }
}
