/**
 * A browser without a window, told what to do over a pipe.
 *
 * Source: the Chrome DevTools Protocol, and Chromium's --remote-debugging-pipe: documents of JSON, each with a NUL behind it,
 * over the descriptors 3 and 4.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { type Place, waitFor } from 'tsnet/lab'

interface Message {
  id?: number
  method?: string
  params?: Record<string, unknown>
  result?: Record<string, unknown>
  error?: { message: string }
}

export class Chromium implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #folder: string
  readonly #waiting = new Map<number, (message: Message) => void>()
  readonly #exited: Promise<unknown>
  #next = 1
  #session: string | undefined
  /** What pages said of errors, and what their own policy refused. */
  readonly complaints: string[] = []

  private constructor(process: ChildProcess, folder: string) {
    this.#process = process
    this.#folder = folder
    this.#exited = new Promise(resolve => process.once('exit', resolve))
    let rest = ''
    ;(process.stdio[4] as Readable).setEncoding('utf8').on('data', (data: string) => {
      const parts = (rest + data).split('\0')
      rest = parts.pop() ?? ''
      for (const part of parts) this.#hear(JSON.parse(part) as Message)
    })
  }

  /** @param place whose network it has; absent: that of this process */
  static async start(place?: Place): Promise<Chromium> {
    const folder = mkdtempSync(join(tmpdir(), 'chromium-'))
    // What it may do is decided by whom it visits: itself, here, as root, where it has no sandbox.
    const words = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--no-first-run',
      '--hide-scrollbars',
      `--user-data-dir=${folder}`,
      '--remote-debugging-pipe',
      'about:blank',
    ]
    const start = () =>
      spawn('chromium', words, {
        stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
        env: { ...process.env, HOME: folder },
      })
    const browser = new Chromium(place === undefined ? start() : place.inside(start), folder)
    const { targetId } = await browser.#ask('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await browser.#ask('Target.attachToTarget', { targetId, flatten: true })
    browser.#session = String(sessionId)
    for (const domain of ['Page', 'Runtime', 'Log']) await browser.#ask(`${domain}.enable`)
    return browser
  }

  async visit(url: string, { width = 1320, height = 900, dark = false } = {}): Promise<void> {
    await this.#ask('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    })
    await this.#ask('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }],
    })
    await this.#ask('Page.navigate', { url })
  }

  /** The value of an expression in the page, as JSON has it. */
  async evaluate<T>(expression: string): Promise<T> {
    const { result } = await this.#ask('Runtime.evaluate', { expression, returnByValue: true })
    return (result as { value?: unknown } | undefined)?.value as T
  }

  async until(expression: string, what: string): Promise<void> {
    await waitFor(() => this.evaluate<boolean>(expression), { what, withinMs: 60_000 })
  }

  async picture(): Promise<Buffer> {
    const { data } = await this.#ask('Page.captureScreenshot', { format: 'png' })
    return Buffer.from(String(data), 'base64')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#exited
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10 })
  }

  #hear({ id, method, params = {}, ...rest }: Message): void {
    if (id !== undefined) this.#waiting.get(id)?.({ id, ...rest })
    if (method === 'Log.entryAdded' || method === 'Runtime.exceptionThrown')
      this.complaints.push(JSON.stringify(params))
  }

  #ask(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = this.#next++
    const sessionId = this.#session
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result = {}, error }) => {
        this.#waiting.delete(id)
        if (error === undefined) resolve(result)
        else reject(new Error(`${method}: ${error.message}`))
      })
      void this.#exited.then(() => reject(new Error(`${method}: the browser has ended`)))
      const message = { id, method, params, ...(sessionId !== undefined && { sessionId }) }
      ;(this.#process.stdio[3] as Writable).write(`${JSON.stringify(message)}\0`)
    })
  }
}
