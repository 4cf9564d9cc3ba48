/** UDP servers and clients for tests of the proxy. */

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'

export interface Heard {
  text: string
  from: RemoteInfo
}

/** A UDP socket that remembers what it got. */
export class TestSocket implements AsyncDisposable {
  readonly socket: Socket
  readonly heard: Heard[] = []
  /** Codes of errors: what ICMP said. */
  readonly errors: string[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('message', (message, from) => this.heard.push({ text: message.toString('latin1'), from }))
    socket.on('error', error => this.errors.push('code' in error ? String(error.code) : error.message))
  }

  get port(): number {
    return this.socket.address().port
  }

  send(text: string | Uint8Array, port: number, host?: string): void {
    this.socket.send(text, port, host)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close()
    await once(this.socket, 'close')
  }
}

/** A socket at a port (0: any) of an address. */
export async function openUdp(address = '127.0.0.1', port = 0): Promise<TestSocket> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  socket.bind(port, address)
  await once(socket, 'listening')
  return new TestSocket(socket)
}

/** A server that answers each datagram with the same bytes behind a prefix. */
export async function udpEcho(address?: string, port?: number, prefix = ''): Promise<TestSocket> {
  const server = await openUdp(address, port)
  server.socket.on('message', (message, from) => {
    server.socket.send(Buffer.concat([Buffer.from(prefix), message]), from.port, from.address)
  })
  return server
}
