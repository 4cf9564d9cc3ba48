/**
 * One request to one endpoint: HTTP with a body of JSON, with TLS where the endpoint says so.
 *
 * `fetch` has no client certificates and no say about its connections; node:http and node:https have both.
 */

import { readFileSync } from 'node:fs'
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { messageOf, TsnetError } from '../../model/errors.ts'
import type { EtcdOptions } from '../../model/hosts/hosts.ts'
import { shown } from '../../model/json/shown.ts'

/** A whole answer takes no longer. */
export const ANSWER_WITHIN_MS = 5_000

/** In characters; ten thousand hosts are some 5 MB. */
const ANSWER_MAX = 128 * 1024 * 1024

/** etcd said no. `status` is HTTP's, `code` gRPC's. */
export class EtcdRefusal extends Error {
  override readonly name = 'EtcdRefusal'
  readonly status: number
  readonly code: number | undefined

  constructor(what: string, status: number, code: number | undefined, text: string) {
    super(`${what}: ${text}`)
    this.status = status
    this.code = code
  }
}

export type Headers = Record<string, string>

export interface Exchange extends Disposable {
  /** The JSON of an answer. @throws EtcdRefusal, TsnetError `io` */
  ask(path: string, body: unknown, headers: Headers): Promise<Record<string, unknown>>
  /**
   * An answer that goes on and on, line by line. `end` is called once, with the reason, however it ends.
   * @returns ends it
   */
  stream(path: string, body: unknown, headers: Headers, hear: Hear): () => void
  /** The address at this end of the connection that was last made. */
  readonly localAddress: string | undefined
}

export interface Hear {
  /** Everything that has come so far is one value after the other. */
  value(value: Record<string, unknown>): void
  end(why: Error): void
}

/** @throws TsnetError `io`: a file of certificates cannot be read */
export function openExchange(endpoint: string, options: EtcdOptions, withinMs = ANSWER_WITHIN_MS): Exchange {
  const url = new URL(endpoint)
  const isSecure = url.protocol === 'https:'
  const agent = isSecure
    ? new HttpsAgent({ keepAlive: true, ...certificates(options) })
    : new HttpAgent({ keepAlive: true })
  let localAddress: string | undefined

  const send = (path: string, body: unknown, headers: Headers): ClientRequest => {
    const text = JSON.stringify(body)
    const request = isSecure ? httpsRequest : httpRequest
    const sent = request(new URL(path, url), {
      method: 'POST',
      agent,
      headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
    })
    sent.on('socket', socket => {
      socket.setKeepAlive(true, withinMs)
      const note = () => {
        localAddress = socket.localAddress
      }
      if (socket.connecting) socket.once('connect', note)
      else note()
    })
    sent.end(text)
    return sent
  }

  return {
    get localAddress() {
      return localAddress
    },
    async ask(path, body, headers) {
      const asking = send(path, body, headers)
      const late = setTimeout(
        () => asking.destroy(new Error(`no answer within ${withinMs / 1000} s`)),
        withinMs,
      )
      try {
        const answer = await answerTo(asking)
        const text = await textOf(answer)
        return understood(`${endpoint}${path}`, answer.statusCode ?? 0, text)
      } catch (cause) {
        if (cause instanceof EtcdRefusal || cause instanceof TsnetError) throw cause
        throw new TsnetError('io', `etcd at ${endpoint}: ${messageOf(cause)}`, { cause })
      } finally {
        clearTimeout(late)
      }
    },
    stream(path, body, headers, hear) {
      const asking = send(path, body, headers)
      let isOver = false
      const end = (why: Error): void => {
        if (isOver) return
        isOver = true
        asking.destroy()
        hear.end(why)
      }
      const late = setTimeout(() => end(new Error(`no answer within ${withinMs / 1000} s`)), withinMs)
      answerTo(asking)
        .then(async answer => {
          clearTimeout(late)
          if (answer.statusCode !== 200) {
            understood(`${endpoint}${path}`, answer.statusCode ?? 0, await textOf(answer))
          }
          for await (const value of valuesOf(answer)) if (!isOver) hear.value(value)
          end(new Error('the connection was closed'))
        })
        .catch(thrown => end(thrown))
        .finally(() => clearTimeout(late))
      return () => end(new Error('it was ended'))
    },
    [Symbol.dispose]() {
      agent.destroy()
    },
  }
}

function certificates({ ca, cert, key }: EtcdOptions): Record<string, Buffer> {
  const read = (name: string, path: string | undefined): Record<string, Buffer> => {
    try {
      return path === undefined ? {} : { [name]: readFileSync(path) }
    } catch (cause) {
      throw new TsnetError('io', `hosts.${name}: cannot read ${path}: ${messageOf(cause)}`, { cause })
    }
  }
  return { ...read('ca', ca), ...read('cert', cert), ...read('key', key) }
}

const answerTo = (asking: ClientRequest): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    asking.on('response', resolve)
    asking.on('error', reject)
    asking.on('close', () => reject(new Error('the connection was closed')))
  })

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    length += chunk.length
    if (length > ANSWER_MAX) throw new Error('its answer has no end')
  }
  return Buffer.concat(chunks).toString()
}

/** An answer as a value. @throws EtcdRefusal; TsnetError `io` for what is no answer of etcd's */
export function understood(what: string, status: number, text: string): Record<string, unknown> {
  const value = objectIn(text)
  if (status === 200 && value !== undefined) return value
  const { error, message, code } = value ?? {}
  const said = [message, error].find(each => typeof each === 'string')
  if (status !== 200 && said !== undefined) {
    throw new EtcdRefusal(
      what,
      status,
      typeof code === 'number' ? code : undefined,
      String(said).slice(0, 500),
    )
  }
  const asText = text.trim().slice(0, 200)
  throw new TsnetError('io', `${what}: HTTP ${status} and ${shown(asText)}, not as etcd answers`, {
    details: text.startsWith(NAMED_CERTIFICATE)
      ? 'etcd takes no user and password by HTTP from one whose certificate has a common name: give "cert" one without'
      : 'the endpoints of "hosts" are client URLs of etcd 3.4 or later, which serves /v3 unless it is told not to',
  })
}

/** What etcd says where users are known and a certificate names one (its embed/serve.go). */
const NAMED_CERTIFICATE = 'CommonName of client'

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The values of an answer with one in each line. */
async function* valuesOf(answer: AsyncIterable<Buffer>): AsyncGenerator<Record<string, unknown>> {
  let rest: Buffer[] = []
  let length = 0
  for await (const chunk of answer) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...rest, chunk.subarray(from, end)]).toString()
      rest = []
      length = 0
      from = end + 1
      if (line.trim() === '') continue
      const value = objectIn(line)
      if (value === undefined) throw new Error('it says something that is not JSON')
      yield value
    }
    rest.push(chunk.subarray(from))
    length += chunk.length - from
    if (length > ANSWER_MAX) throw new Error('its answer has no end')
  }
}
