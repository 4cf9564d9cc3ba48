/**
 * A graph in the browser, while it changes.
 *
 *     live.ts ──▶ looks at the host, at a pace that its cost decides, while somebody looks on
 *        │ picture: shapes (svg/layout.ts)       traffic: rates (rates.ts)
 *        ▼
 *     viewers.ts ──server-sent events──▶ browser/, which draws shapes and knows nothing of graphs
 *        ▲
 *     gate.ts: who may ask
 *
 * It is for whoever started it, on this host: it listens on 127.0.0.1 alone, and every path begins with a token that is in
 * the printed address and nowhere else. There is no cookie, since a cookie goes to whatever else listens on 127.0.0.1. A
 * page of somebody else cannot read it: names that were made to lead to 127.0.0.1 are refused by the Host header, nobody
 * is told that he may read across origins, and the page may load nothing but itself. Only GET is answered, and nothing that
 * is asked for changes anything.
 *
 * What clients cost is bounded: connections, those of them that look on, the length of a request, the time for it. Who does
 * not read gets what is newest when he does, and is let go when he never does.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hasCode, messageOf, TsnetError } from '../../model/errors.ts'
import { STYLE } from '../svg/style.ts'
import { type Asset, readAssets } from './assets.ts'
import { Gate, HEADERS, newToken } from './gate.ts'
import { Live, type Look } from './live.ts'
import { Viewers } from './viewers.ts'

const ADDRESS = '127.0.0.1'
const CONNECTIONS_MAX = 64
const HEADERS_MAX = 8 * 1024
const REQUEST_WITHIN_MS = 5_000

export interface Page extends AsyncDisposable {
  /** Where it is, with its token. */
  url: string
}

/**
 * Serves until it is disposed of.
 * @param port 0: any
 * @throws TsnetError `conflict` for a port that somebody has, `missing` where the page was not built
 */
export async function servePage(port: number, look: Look, files = readAssets()): Promise<Page> {
  const assets = new Map<string, Asset>([
    ...files,
    ['shapes.css', { type: 'text/css; charset=utf-8', bytes: Buffer.from(STYLE) }],
  ])
  const token = newToken()
  const gate = new Gate(token)
  const viewers = new Viewers()
  const live = new Live(look, viewers)
  const server = createServer({ maxHeaderSize: HEADERS_MAX }, (request, response) => {
    const refusal = answer(request, response)
    if (refusal === undefined) return
    response.writeHead(refusal.status, { ...HEADERS, ...refusal.headers, Connection: 'close' })
    response.end(`${refusal.why}\n`)
  })
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const passed = gate.judge(request)
    if ('status' in passed) return passed
    if (passed.path === 'events') {
      if (viewers.add(response)) return live.wake()
      return { status: 503, why: 'too many are looking on' }
    }
    const asset = assets.get(passed.path)
    if (asset === undefined) return { status: 404, why: 'there is nothing of this name' }
    response.writeHead(200, { ...HEADERS, 'Content-Type': asset.type })
    response.end(asset.bytes)
    return undefined
  }
  server.maxConnections = CONNECTIONS_MAX
  server.headersTimeout = REQUEST_WITHIN_MS
  server.requestTimeout = REQUEST_WITHIN_MS
  server.keepAliveTimeout = REQUEST_WITHIN_MS
  server.on('clientError', (_, socket) => void socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(
        hasCode(cause, 'EADDRINUSE')
          ? new TsnetError('conflict', `--port: ${ADDRESS}:${port} is somebody else's`, { cause })
          : new TsnetError('io', `cannot listen on ${ADDRESS}:${port}: ${messageOf(cause)}`, { cause }),
      ),
    )
    server.listen(port, ADDRESS, resolve)
  })
  const { port: bound } = server.address() as AddressInfo
  return {
    url: `http://${ADDRESS}:${bound}/${token}/`,
    async [Symbol.asyncDispose]() {
      live.end()
      viewers.end()
      const closed = new Promise(resolve => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
