/**
 * Numbers for Prometheus, on a unix socket or a loopback address.
 *
 * On a loopback address anybody of this host may read, and so may a page in a browser here, through a name of its own that
 * leads to it: so only who asks for the address itself, or for localhost, is answered. Each answer is made when somebody
 * asks, and the one of a moment ago is given to who asks again within it.
 */

import { chmodSync, rmSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { MetricsAddress } from '../../model/address/metrics-address.ts'
import { hasCode, messageOf } from '../../model/errors.ts'
import { CONTENT_TYPE, expositionOf } from '../../observe/exposition.ts'
import type { CountersReport } from '../../observe/observe.ts'

/** An answer is as good as new for so long. */
const FRESH_MS = 1_000
/** How many may be connected at once, and how long one may take to ask. */
const CONNECTIONS_MAX = 16
const ASK_WITHIN_MS = 5_000
/** A predecessor, or somebody else, may have the address for a moment. */
const AGAIN_MS = 1_000

export interface Metrics {
  close(): void
}

/** @param log hears where it is, and once what is in the way of that */
export function serveMetrics(
  address: MetricsAddress,
  counters: () => CountersReport,
  log: (line: string) => void,
): Metrics {
  let made: { text: string; at: number } | undefined
  const text = (): string => {
    const now = performance.now()
    if (made === undefined || now - made.at > FRESH_MS) made = { text: expositionOf(counters()), at: now }
    return made.text
  }
  const server = createServer((request, response) => answer(request, response, address, text))
  server.maxConnections = CONNECTIONS_MAX
  server.headersTimeout = server.requestTimeout = ASK_WITHIN_MS
  const where = 'path' in address ? address.path : hostsOf(address)[0]
  let timer: NodeJS.Timeout | undefined
  let said: string | undefined
  let isOver = false
  const begin = () => {
    if (isOver) return
    if ('path' in address) {
      forgetSocket(address.path)
      server.listen(address.path)
    } else server.listen(address.port, address.host)
  }
  server.on('listening', () => {
    if ('path' in address) chmodSync(address.path, 0o600)
    server.unref()
    log(`metrics at ${where}`)
  })
  server.on('error', thrown => {
    const why = `no metrics at ${where}: ${messageOf(thrown)}`
    if (why !== said) log(why)
    said = why
    if (!server.listening) timer = setTimeout(begin, AGAIN_MS).unref()
  })
  begin()
  return {
    close() {
      isOver = true
      clearTimeout(timer)
      server.close()
      server.closeAllConnections()
    },
  }
}

function answer(
  { method, url = '', headers }: IncomingMessage,
  response: ServerResponse,
  address: MetricsAddress,
  text: () => string,
): void {
  const say = (status: number, body: string, type = 'text/plain; charset=utf-8') => {
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
    response.end(method === 'HEAD' ? undefined : body)
  }
  if (!('path' in address) && !hostsOf(address).includes(headers.host?.toLowerCase() ?? ''))
    say(403, 'this is not who you asked for\n')
  else if (url.split('?')[0] !== '/metrics') say(404, 'there is /metrics\n')
  else if (method !== 'GET' && method !== 'HEAD') say(405, 'it can be read\n')
  else {
    try {
      say(200, text(), CONTENT_TYPE)
    } catch (thrown) {
      say(500, `${messageOf(thrown)}\n`)
    }
  }
}

/** What a request may call us. */
function hostsOf({ host, port }: Extract<MetricsAddress, { port: number }>): string[] {
  return [host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, `localhost:${port}`]
}

/** What a daemon left that was killed; nothing else is removed. */
function forgetSocket(path: string): void {
  try {
    if (statSync(path).isSocket()) rmSync(path)
  } catch (thrown) {
    if (!hasCode(thrown, 'ENOENT')) throw thrown
  }
}
