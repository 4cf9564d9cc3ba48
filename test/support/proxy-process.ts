/** Starts proxy-child.ts, with a limit on open files if asked, and talks to it. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Place } from 'tsnet/lab'
import type { Counters, Publication } from '../../src/proxy/proxy.ts'

const PROGRAM = fileURLToPath(new URL('./proxy-child.js', import.meta.url))

interface Ready {
  ports: number[]
  /** Processor time that publishing took, other threads' included. */
  cpuMs: number
  rssBefore: number
}

export class ProxyProcess implements AsyncDisposable {
  readonly child: ChildProcess
  ready: Ready = { ports: [], cpuMs: 0, rssBefore: 0 }
  /** What it wrote to stderr: faults. */
  errors = ''
  readonly #lines: AsyncIterator<string>

  constructor(child: ChildProcess) {
    const { stdout, stderr } = child
    if (stdout === null || stderr === null) throw new Error('no pipes')
    this.child = child
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text
    })
  }

  async next(): Promise<unknown> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`the proxy ended: ${this.errors}`)
    return JSON.parse(value)
  }

  ask(question: 'counters'): Promise<Record<string, Counters>>
  ask(question: 'fds' | 'rss'): Promise<number>
  ask(question: string): Promise<unknown> {
    this.child.stdin?.write(`${question}\n`)
    return this.next()
  }

  get port(): number {
    return this.ready.ports[0] ?? 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { child } = this
    if (child.exitCode !== null || child.signalCode !== null) return
    child.stdin?.end()
    await once(child, 'exit')
  }
}

export interface ProcessOptions {
  files?: number
  workers?: number
  /** The place whose ports are published; absent: this machine. */
  at?: Place
  /** Words before the command, such as those of unshare(1). */
  under?: string[]
}

export async function startProxyProcess(
  publications: Partial<Publication>[],
  { files, workers = 1, at, under = [] }: ProcessOptions = {},
): Promise<ProxyProcess> {
  const given = publications.map((publication, index) => ({
    id: `publication ${index}`,
    protocol: 'tcp',
    hostPort: 0,
    count: 1,
    ...publication,
  }))
  const limit = files === undefined ? '' : `ulimit -n ${files} && `
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  const enter = at === undefined ? '' : `nsenter --net=/proc/${process.pid}/fd/${at.netns.fd} -- `
  const script = `${limit}exec ${enter}"$@"`
  const words = [...under, process.execPath, PROGRAM, JSON.stringify(given), String(workers)]
  const child = spawn('sh', ['-c', script, 'sh', ...words], { env, stdio: ['pipe', 'pipe', 'pipe'] })
  const proxy = new ProxyProcess(child)
  proxy.ready = (await proxy.next()) as Ready
  return proxy
}
