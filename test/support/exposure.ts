/** How long somebody gets through who should not: he tries every millisecond, and each answer is written down. */

import type { Place } from 'tsnet/lab'
import { waitFor } from 'tsnet/lab'

/** Sends datagrams to an address that should not answer him, and prints when it does, in milliseconds of the epoch. */
const ATTACKER = `
const socket = require('dgram').createSocket('udp4')
const [address, port] = process.argv.slice(1)
const now = () => performance.timeOrigin + performance.now()
socket.on('message', () => process.stdout.write(now() + '\\n'))
socket.on('error', () => {})
setInterval(() => socket.send('x', Number(port), address, () => {}), 1)
`

export class Attacker {
  readonly #process: ReturnType<Place['start']>

  constructor(from: Place, address: string, port: number) {
    this.#process = from.start(process.execPath, '-e', ATTACKER, address, String(port))
  }

  /** When he got through, in milliseconds of the epoch. */
  get times(): number[] {
    return this.#process.stdout.split('\n').filter(Boolean).map(Number)
  }

  /** Waits until he has got through no more for a while. @returns when he got through */
  async settled(forMs = 200): Promise<number[]> {
    await waitFor(() => now() - (this.times.at(-1) ?? 0) > forMs, { what: 'the attacker to be kept out' })
    return this.times
  }

  end(): Promise<unknown> {
    return this.#process.stop('SIGKILL')
  }
}

export const now = (): number => performance.timeOrigin + performance.now()

/** Asks all the time, from one port, and prints when it was answered again after a while, and for how long it was not. */
const ASKER = `
const socket = require('dgram').createSocket('udp4')
const [address, port] = process.argv.slice(1)
const now = () => performance.timeOrigin + performance.now()
let last = now()
socket.on('message', () => {
  const at = now()
  if (at - last > 3) process.stdout.write(at + ' ' + (at - last) + '\\n')
  last = at
})
socket.on('error', () => {})
setInterval(() => socket.send('x', Number(port), address, () => {}), 1)
setInterval(() => process.stdout.write(last + ' 0\\n'), 100)
`

/** Somebody whom a published port answers. */
export class Asker {
  readonly #process: ReturnType<Place['start']>

  constructor(from: Place, address: string, port: number) {
    this.#process = from.start(process.execPath, '-e', ASKER, address, String(port))
  }

  /** Waits until he is answered again. @returns for how many ms he was not, at the longest, since a moment of the epoch */
  async deadSince(began: number): Promise<number> {
    const since = () => this.#lines().filter(({ at }) => at > began)
    await waitFor(() => since().some(({ at }) => at > began + 200), { what: 'the port to answer' })
    return Math.max(0, ...since().map(({ ms }) => ms))
  }

  /** The last ones: there are many. */
  #lines(): { at: number; ms: number }[] {
    const lines = this.#process.stdout.slice(-20_000).split('\n').slice(1, -1)
    return lines.map(line => line.split(' ').map(Number)).map(([at = 0, ms = 0]) => ({ at, ms }))
  }

  end(): Promise<unknown> {
    return this.#process.stop('SIGKILL')
  }
}
