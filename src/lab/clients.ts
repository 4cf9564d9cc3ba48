/**
 * What a place asks of others: one line over TCP, one datagram over UDP, or a page.
 */

import { createSocket } from 'node:dgram'
import { get } from 'node:http'
import { Socket } from 'node:net'
import { libc } from '../ffi/ffi.ts'
import { familyOf, type Ip } from '../model/address/address.ts'
import type { Answer } from './servers.ts'
import { openConnected, type Transport } from './sockets.ts'

export interface AskOptions {
  text?: string
  /** How long to wait for an answer. Default 10 000; who expects none says less. */
  withinMs?: number
  /** Source port; default any. */
  fromPort?: number
}

/** No answer came, or a refusal: `ETIMEDOUT`, `ECONNREFUSED`, `EHOSTUNREACH` … */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
  readonly code: string

  constructor(what: string, code: string) {
    super(`${what}: ${code}`)
    this.code = code
  }
}

export interface Page {
  status: number
  body: string
}

const codeOf = (thrown: unknown): string =>
  thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown)

/** Settles by what `start` reports, or with `ETIMEDOUT`; `close` runs either way. */
function withDeadline<T>(
  what: string,
  withinMs: number,
  close: () => void,
  start: (done: (value: T) => void, failed: (thrown: unknown) => void) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const failed = (thrown: unknown) => reject(new NoAnswer(what, codeOf(thrown)))
    const timer = setTimeout(() => failed('ETIMEDOUT'), withinMs)
    start(
      value => {
        clearTimeout(timer)
        resolve(value)
      },
      thrown => {
        clearTimeout(timer)
        failed(thrown)
      },
    )
  }).finally(close)
}

/** Asks an echo server from the namespace of the thread. @throws NoAnswer, at once or by the promise */
export function ask(transport: Transport, ip: Ip, port: number, options: AskOptions): Promise<Answer> {
  const { text = 'hello', withinMs = 10_000, fromPort = 0 } = options
  const what = `${transport} ${ip} port ${port}`
  const fd = connect(what, transport, ip, port, fromPort)
  if (transport === 'udp') {
    // Node would name the address again, which a connected socket refuses.
    const datagram = Buffer.from(text)
    libc.send(fd, datagram, datagram.length, 0)
    const socket = createSocket(familyOf(ip) === 6 ? 'udp6' : 'udp4')
    socket.bind({ fd })
    return withDeadline(
      what,
      withinMs,
      () => socket.close(),
      (done, failed) => {
        socket.on('error', failed)
        socket.on('message', message => done(JSON.parse(message.toString())))
      },
    )
  }
  const socket = new Socket({ fd })
  let received = ''
  return withDeadline(
    what,
    withinMs,
    () => socket.destroy(),
    (done, failed) => {
      socket.on('error', failed)
      socket.on('end', () => failed('ECONNRESET'))
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        received += chunk
        if (received.endsWith('\n')) done(JSON.parse(received))
      })
      socket.write(`${text}\n`)
    },
  )
}

/** Gets a page by plain HTTP from the namespace of the thread. @throws NoAnswer */
export function getPage(url: URL, withinMs: number): Promise<Page> {
  const host = url.hostname.replace(/^\[|\]$/g, '') as Ip
  const fd = connect(url.href, 'tcp', host, Number(url.port || 80), 0)
  const socket = new Socket({ fd })
  return withDeadline(
    url.href,
    withinMs,
    () => socket.destroy(),
    (done, failed) => {
      const request = get(url, { createConnection: () => socket }, response => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text
        })
        response.on('error', failed)
        response.on('end', () => done({ status: response.statusCode ?? 0, body }))
      })
      request.on('error', failed)
    },
  )
}

function connect(what: string, transport: Transport, ip: Ip, port: number, fromPort: number): number {
  try {
    return openConnected(transport, ip, port, fromPort)
  } catch (thrown) {
    throw new NoAnswer(what, codeOf(thrown))
  }
}
