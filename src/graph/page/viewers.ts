/**
 * Those who look on, over server-sent events. Each event is the whole of something, so nobody has to get all of them: who is
 * slow is sent the newest when he has read what he was sent before. So of each no more waits than one of each kind.
 *
 * Source: the HTML standard, Server-sent events.
 */

import type { ServerResponse } from 'node:http'
import { HEADERS } from './gate.ts'

const MOST = 16
/** Who reads nothing for so long is let go. */
const PATIENCE_MS = 30_000

interface Newest {
  text: string
  number: number
}

interface Viewer {
  response: ServerResponse
  /** The number of what was sent last, by kind. */
  sent: Map<string, number>
  /** Since when there is something that he has not read; milliseconds as performance.now has them. */
  waitsSince: number | undefined
}

export class Viewers {
  readonly #all = new Set<Viewer>()
  readonly #newest = new Map<string, Newest>()
  readonly #now: () => number
  #number = 0

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  get size(): number {
    return this.#all.size
  }

  /** False where there are too many already. */
  add(response: ServerResponse): boolean {
    if (this.#all.size >= MOST) return false
    response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream; charset=utf-8' })
    // So that the other side knows that it is answered, whenever the first event comes.
    response.write(':\n\n')
    const viewer: Viewer = { response, sent: new Map(), waitsSince: undefined }
    this.#all.add(viewer)
    response.on('drain', () => {
      viewer.waitsSince = undefined
      this.#send(viewer)
    })
    response.on('close', () => void this.#all.delete(viewer))
    response.on('error', () => void this.#all.delete(viewer))
    this.#send(viewer)
    return true
  }

  /** @param value as JSON; what is the same as before is not sent again */
  tell(kind: string, value: unknown): void {
    const text = `event: ${kind}\ndata: ${JSON.stringify(value)}\n\n`
    if (this.#newest.get(kind)?.text !== text) this.#newest.set(kind, { text, number: ++this.#number })
    for (const viewer of this.#all) this.#send(viewer)
  }

  end(): void {
    for (const { response } of this.#all) response.destroy()
    this.#all.clear()
  }

  #send(viewer: Viewer): void {
    const { response, sent, waitsSince } = viewer
    if (waitsSince !== undefined) {
      if (this.#now() - waitsSince > PATIENCE_MS) response.destroy()
      return
    }
    for (const [kind, { text, number }] of this.#newest) {
      if (sent.get(kind) === number) continue
      sent.set(kind, number)
      if (!response.write(text)) viewer.waitsSince ??= this.#now()
    }
  }
}
