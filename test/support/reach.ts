/** Who answers at an address. */

import { once } from 'node:events'
import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AskOptions, type Place, waitFor } from 'tsnet/lab'
import { libc } from '../../src/ffi/ffi.ts'
import { sockaddr } from '../../src/ffi/sockaddr.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { openSocket } from './dns.ts'

type Question = [transport: 'tcp' | 'udp', to: string, port: number]

/** Who answers, where somebody does. @throws NoAnswer */
export const answers = async (from: Pick<Place, 'ask'>, ...question: Question): Promise<string> =>
  (await from.ask(...question)).place

/** Who answers soon, or `nobody`. */
export const answering = (
  from: Pick<Place, 'ask'>,
  ...[transport, to, port, fromPort]: [...Question, fromPort?: number]
): Promise<string> => {
  const options: AskOptions = { withinMs: 1000, ...(fromPort !== undefined && { fromPort }) }
  return from.ask(transport, to, port, options).then(
    ({ place }) => place,
    () => 'nobody',
  )
}

/** Sends a datagram, and tells whether a server hears it; its answer may well not find back. */
export async function arrives(
  from: Pick<Place, 'ask'>,
  to: string,
  port: number,
  server: { heard: readonly { text: string }[] },
  text: string,
): Promise<boolean> {
  const asked = from.ask('udp', to, port, { text, withinMs: 500 }).catch(() => {})
  const heard = () => server.heard.some(each => each.text === text)
  const arrived = waitFor(heard, { what: text, withinMs: 500 }).then(
    () => true,
    () => false,
  )
  await asked
  return arrived
}

/** A connection that is held, and who answers a line of it. */
export function hold(from: Parameters<typeof openSocket>[0], to: string, port: number) {
  const fd = openSocket(from, 'tcp', to.includes(':') ? '::' : '0.0.0.0', 0)
  const address = sockaddr(parseIp(to), port)
  // It is on its way then.
  libc.connect(fd, address, address.length)
  const socket = new Socket({ fd })
  let error: string | undefined
  socket.on('error', ({ message }) => {
    error = message
  })
  return {
    /** What it ended with. */
    get error() {
      return error
    },
    said: async (): Promise<string> => {
      const heard = once(socket, 'data').then(([data]) => JSON.parse(String(data)).place as string)
      socket.write('hello\n')
      return await Promise.race([heard, sleep(5_000, 'nobody', { ref: false })])
    },
    [Symbol.dispose]: () => void socket.destroy(),
  }
}
