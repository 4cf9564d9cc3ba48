/** A proxy for a file of tests, and publications on ports that the kernel chooses. */

import type { Socket } from 'node:net'
import { type Place, waitFor } from 'tsnet/lab'
import type { Ip } from '../../src/model/address/address.ts'
import {
  type Counters,
  type PortProxy,
  type ProxyOptions,
  type Publication,
  startProxy,
  type Target,
} from '../../src/proxy/proxy.ts'
import { connect } from './streams.ts'

export const LOOPBACK = '127.0.0.1' as Ip

export interface Published {
  id: string
  port: number
  counters(): Counters
}

/** A client of an echo, who has said something and heard it. */
export async function talking(web: Published, words: string): Promise<Socket> {
  const client = await connect(web.port)
  client.write(words)
  await waitFor(() => web.counters().bytesOut === words.length, { what: 'the echo' })
  return client
}

export class TestProxy implements AsyncDisposable {
  readonly proxy: PortProxy
  /** What it said went wrong. */
  readonly faults: string[] = []
  #ids = 0

  /** @param at the place whose ports are published; absent: this machine */
  constructor(options: ProxyOptions = {}, at?: Place) {
    const start = () => startProxy({ onFault: message => this.faults.push(message), ...options })
    this.proxy = at === undefined ? start() : at.inside(start)
  }

  /** Publishes for a port of 127.0.0.1, or for given targets; the rest as `more` says. */
  publish(target: number | Target[], more: Partial<Publication> = {}): Published {
    const id = `publication ${this.#ids++}`
    const targets = typeof target === 'number' ? [{ ip: LOOPBACK, port: target }] : target
    const port = this.proxy.publish({ id, protocol: 'tcp', hostPort: 0, count: 1, targets, ...more })
    return {
      id,
      port,
      counters: () => {
        const counters = this.proxy.counters().get(id)
        if (counters === undefined) throw new Error(`${id} is gone`)
        return counters
      },
    }
  }

  /** @throws Error when something went wrong that the test did not look at */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close()
    if (this.faults.length > 0) throw new Error(`the proxy reported ${this.faults.join('; ')}`)
  }
}
