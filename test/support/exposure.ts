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
