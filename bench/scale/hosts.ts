/** The hosts of the scale benchmark, each a process in network and mount namespaces of its own. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Order, Reply, Size } from './host.ts'

const PROGRAM = fileURLToPath(new URL('host.js', import.meta.url))

export type Done = Exclude<Reply, { error: string }>

export class BenchHost {
  readonly size: Size
  readonly #process: ChildProcess
  readonly #ended: Promise<[Reply]>

  constructor(size: Size) {
    this.size = size
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const
    this.#process = spawn('unshare', ['--mount', '--net', process.execPath, PROGRAM], { stdio: [...stdio] })
    this.#ended = once(this.#process, 'exit').then(([code]) => [{ error: `the host ended with ${code}` }])
  }

  /** Has something done. @throws Error with what went wrong there */
  async ask(order: Order): Promise<Done> {
    const answered = once(this.#process, 'message')
    this.#process.send(order)
    const [reply] = (await Promise.race([answered, this.#ended])) as [Reply]
    if ('error' in reply) throw new Error(`${JSON.stringify(order)}: ${reply.error}`)
    return reply
  }

  /** Its namespaces go with it. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null) return
    this.#process.disconnect()
    await this.#ended
  }
}
