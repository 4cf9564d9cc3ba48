/**
 * The socket at which dockerd finds its remote drivers (libnetwork/): plain HTTP, a call a connection, for root alone.
 *
 * It is in the run directory, which is root's; `tsnet install --docker` tells dockerd where. A call is answered by whoever
 * serves: what comes while a successor takes over waits, and is then the successor's to be asked again, which dockerd does of
 * a connection that ends without an answer.
 */

import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { peerOf } from '../../ffi/peer.ts'
import { answer, type World } from '../../libnetwork/libnetwork.ts'
import { messageOf } from '../../model/errors.ts'
import { processIdentity } from '../../netns/processes.ts'

/** No call of dockerd's is a tenth of it. */
const BODY_MAX = 1024 * 1024
/** From its first byte to its last. */
const REQUEST_WITHIN_MS = 30_000
const HEADER_MAX = 16 * 1024

/** dockerd understands all that says it is JSON, and names this itself. */
const TYPE = 'application/vnd.docker.plugins.v1.1+json'

/** Does a call while this daemon serves. @returns undefined where it does not any more */
type Serving = <T>(work: () => Promise<T>) => Promise<T | undefined>

/** HTTP is loaded at the first call: most daemons never hear one, and it is half a megabyte of each. */
export function serveDocker(world: World, whileServing: Serving): Server {
  let http: Server | undefined
  return createServer({ allowHalfOpen: true }, socket => {
    http ??= httpServer(world, whileServing)
    // A server that does not listen itself has no eye on those who are slow.
    const late = setTimeout(() => socket.destroy(), REQUEST_WITHIN_MS).unref()
    socket.once('close', () => clearTimeout(late))
    asking.set(socket, late)
    http.emit('connection', socket)
  })
}

/** What ends those who have not said all in time. */
const asking = new WeakMap<Socket, NodeJS.Timeout>()

function httpServer(world: World, whileServing: Serving): Server {
  const server = createHttpServer({ keepAlive: false, maxHeaderSize: HEADER_MAX })
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    respond(request, response, world, whileServing).catch(thrown => {
      world.log(`a call of Docker: ${messageOf(thrown)}`)
      request.destroy()
    })
  })
  return server
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  world: World,
  whileServing: Serving,
): Promise<void> {
  const by = askerOf(request.socket)
  const send = (status: number, body: string): void => {
    response.writeHead(status, { 'content-type': TYPE, connection: 'close' }).end(body)
  }
  const refuse = (status: number, why: string): void => send(status, JSON.stringify({ Err: `tsnet: ${why}` }))
  if (by === undefined) return refuse(403, 'only root may call this driver')
  if (request.method !== 'POST') return refuse(405, 'calls of a driver are POST')
  const body = await bodyOf(request)
  clearTimeout(asking.get(request.socket))
  if (body === undefined) return refuse(413, `a call has at most ${BODY_MAX} bytes`)
  const reply = await whileServing(() => answer(request.url ?? '', body, by, world))
  if (reply === undefined) request.destroy()
  else send(reply.status, reply.body)
}

/** Undefined for whoever is not root. */
function askerOf(socket: Socket): string | undefined {
  const { pid, uid } = peerOf(socket)
  return uid === 0 ? (processIdentity(pid) ?? `${pid}.`) : undefined
}

/** Undefined for one that is too long, which is read to its end: who is cut off in the midst hears no answer. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length <= BODY_MAX) parts.push(part)
  }
  return length <= BODY_MAX ? Buffer.concat(parts).toString('utf8') : undefined
}
