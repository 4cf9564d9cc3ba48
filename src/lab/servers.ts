/**
 * Servers that a place runs for a test: an echo that tells who asked, and a page.
 *
 * They live in the test process, on sockets of the place's namespace; a test that blocks the event loop
 * keeps them from answering.
 */

import { createSocket } from 'node:dgram'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { type Ip, parseIp } from '../model/address/address.ts'
import { openBound, type Transport } from './sockets.ts'

/** What an echo server says: who it is and whom it sees. */
export interface Answer {
  /** Name of the place that answered. */
  place: string
  /** The client's address and port as the server sees them, after whatever NAT lies between. */
  peer: Ip
  peerPort: number
  text: string
}

export interface Server extends Disposable {
  readonly port: number
  /** Everything that reached an echo server, oldest first. */
  readonly heard: readonly Answer[]
  close(): void
}

const plain = (address = ''): Ip => parseIp(address.replace(/^::ffff:(?=\d+\.)/, ''))

function answerOf(place: string, text: string, address: string | undefined, port = 0): Answer {
  return { place, peer: plain(address), peerPort: port, text }
}

/**
 * An echo server in the namespace of the thread. TCP: one answer a line. UDP: one a datagram.
 * @throws SystemError such as `EADDRINUSE`
 */
export function openEcho(place: string, transport: Transport, port: number, ip: Ip): Server {
  const heard: Answer[] = []
  const note = (answer: Answer): string => {
    heard.push(answer)
    return `${JSON.stringify(answer)}\n`
  }
  if (transport === 'udp') {
    const socket = createSocket(ip.includes(':') ? 'udp6' : 'udp4')
    socket.bind({ fd: openBound('udp', ip, port) })
    socket.on('error', () => {})
    socket.on('message', (text, { address, port }) => {
      socket.send(note(answerOf(place, text.toString(), address, port)), port, address)
    })
    socket.unref()
    return server(socket.address().port, heard, () => socket.close())
  }
  const { closeAll, remember } = connections()
  const tcp = createServer(socket => {
    remember(socket)
    const { remoteAddress, remotePort } = socket
    // Whoever has been reset by now has no address any more.
    if (remoteAddress === undefined) {
      socket.destroy()
      return
    }
    let rest = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) socket.write(note(answerOf(place, line, remoteAddress, remotePort)))
    })
  })
  tcp.listen({ fd: openBound('tcp', ip, port) }).unref()
  return server(portOf(tcp.address()), heard, () => closeAll(tcp))
}

/** A web server in the namespace of the thread that has one page. */
export function openHttp(port: number, body: string | ((peer: Ip) => string), ip: Ip): Server {
  const { closeAll, remember } = connections()
  const http = createHttpServer((request, response) => {
    response.setHeader('connection', 'close')
    response.end(typeof body === 'string' ? body : body(plain(request.socket.remoteAddress)))
  })
  http.on('connection', remember)
  http.listen({ fd: openBound('tcp', ip, port) }).unref()
  return server(portOf(http.address()), [], () => closeAll(http))
}

const portOf = (address: string | { port: number } | null): number =>
  typeof address === 'object' ? (address?.port ?? 0) : 0

function server(port: number, heard: Answer[], stop: () => void): Server {
  let open = true
  const close = () => {
    if (open) stop()
    open = false
  }
  return { port, heard, close, [Symbol.dispose]: close }
}

/** Closing a listener leaves its connections; these are closed with it. */
function connections() {
  const open = new Set<Socket>()
  return {
    remember(socket: Socket) {
      open.add(socket)
      socket.unref()
      socket.on('error', () => {})
      socket.on('close', () => open.delete(socket))
    },
    closeAll(listener: { close(): unknown }) {
      listener.close()
      for (const socket of open) socket.destroy()
    },
  }
}
