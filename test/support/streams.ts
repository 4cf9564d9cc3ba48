/**
 * TCP servers and clients for tests of the proxy; each side may end its stream alone.
 */

import { once } from 'node:events'
import { createServer, connect as dial, type ListenOptions, type Server, type Socket } from 'node:net'

export interface TestServer extends AsyncDisposable {
  port: number
  /** Everybody who connected, in order. */
  sockets: Socket[]
}

/** A server at a free port of 127.0.0.1, or where `at` says. Errors of its sockets are the client's matter. */
export async function serve(
  onConnection: (socket: Socket) => void,
  at: ListenOptions & { fd?: number } = { host: '127.0.0.1' },
): Promise<TestServer> {
  const sockets: Socket[] = []
  const server: Server = createServer({ allowHalfOpen: true }, socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(at.path === undefined ? { port: 0, ...at } : at)
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
  }
}

/** Sends back what it gets, and ends when the client ends. */
export const echo = (socket: Socket): void => {
  socket.pipe(socket)
}

/** A connected client. Its later errors are for those who look at them. */
export async function connect(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = dial({ port, host, allowHalfOpen: true })
  await once(socket, 'connect')
  socket.on('error', () => {})
  return socket
}

/** All that the other side sends until it ends its stream. @throws the socket's error: `ECONNRESET` */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'end')
  return Buffer.concat(chunks)
}

/** Sends a text, ends the stream and reads the answer to its end. */
export async function exchange(port: number, text: string | Uint8Array, host?: string): Promise<Buffer> {
  const socket = await connect(port, host)
  try {
    socket.end(text)
    return await readAll(socket)
  } finally {
    socket.destroy()
  }
}

/** The code of the error that a promise is rejected with; undefined when it is not. */
export const codeOf = async (promise: Promise<unknown>): Promise<string | undefined> =>
  promise.then(
    () => undefined,
    thrown => (thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown)),
  )

/** A port of 127.0.0.1 that nobody listens on. */
export async function closedPort(): Promise<number> {
  await using server = await serve(() => {})
  return server.port
}

/** How a client fares that only listens: the code of its error, or undefined for a clean end. */
export const outcome = (port: number, host?: string): Promise<string | undefined> =>
  codeOf(connect(port, host).then(readAll))
