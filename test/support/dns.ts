/** Clients and servers of DNS in any place, as dns-packet reads and writes messages. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, Socket } from 'node:net'
import { type Answer, decode, encode, type Packet, type RecordType } from 'dns-packet'
import type { Namespace, Place } from 'tsnet/lab'
import { libc, must } from '../../src/ffi/ffi.ts'
import { domainOf, sockaddr } from '../../src/ffi/sockaddr.ts'
import {
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  setOption,
  socketKinds,
} from '../../src/ffi/socket.ts'
import { parseIp } from '../../src/model/address/address.ts'

type Where = Pick<Place, 'inside'> | Namespace

export function openSocket(place: Where, carrier: 'udp' | 'tcp', address: string, port: number): number {
  const ip = parseIp(address)
  const [type, protocol] = socketKinds[carrier]
  return place.inside(() => {
    const fd = must('socket', libc.socket(domainOf(ip), type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol))
    if (carrier === 'tcp') setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    const to = sockaddr(ip, port)
    must('bind', libc.bind(fd, to, to.length))
    return fd
  })
}

const anyOf = (address: string): string => (address.includes(':') ? '::' : '0.0.0.0')

export interface Asked {
  server: string
  name: string
  type?: RecordType
  withinMs?: number
  /** UDP alone. */
  udpPayloadSize?: number
}

/** What a server said: its code, and the data of its answers. */
export interface Said {
  code: string
  data: unknown[]
  cut: boolean
}

let nextId = 1

const questionOf = ({ name, type = 'A', udpPayloadSize }: Asked, id: number): Buffer =>
  encode({
    type: 'query',
    id,
    flags: 0x100,
    questions: [{ name, type }],
    ...(udpPayloadSize !== undefined && {
      additionals: [
        {
          name: '.',
          type: 'OPT' as const,
          udpPayloadSize,
          extendedRcode: 0,
          ednsVersion: 0,
          flags: 0,
          flag_do: false,
          options: [],
        },
      ],
    }),
  })

function readSaid(bytes: Buffer): Said & { id: number | undefined } {
  const { id, answers = [], ...rest } = decode(bytes)
  const { rcode: code, flag_tc: cut } = rest as unknown as { rcode: string; flag_tc: boolean }
  return { id, code, cut, data: answers.map(answer => ('data' in answer ? answer.data : undefined)) }
}

/** Asks once, over UDP. @returns `silence` where no answer came in time, or what the kernel says of the port */
export async function askUdp(place: Where, asked: Asked): Promise<Said | string> {
  const { server, withinMs = 10_000 } = asked
  const id = nextId++ & 0xffff
  const fd = openSocket(place, 'udp', anyOf(server), 0)
  const to = sockaddr(parseIp(server), 53)
  if (libc.connect(fd, to, to.length) < 0) {
    libc.close(fd)
    return 'unreachable'
  }
  const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4')
  try {
    return await new Promise(resolve => {
      const timer = setTimeout(() => end('silence'), withinMs)
      const end = (what: Said | string) => {
        clearTimeout(timer)
        resolve(what)
      }
      socket.on('error', error => end((error as NodeJS.ErrnoException).code ?? error.message))
      socket.on('message', message => {
        const { id: answered, ...said } = readSaid(message)
        if (answered === id) end(said)
      })
      socket.bind({ fd })
      // Node would name the address again, which a connected socket refuses.
      const question = questionOf(asked, id)
      libc.send(fd, question, question.length, 0)
    })
  } finally {
    socket.close()
  }
}

/** Asks over a connection of its own. */
export async function askTcp(place: Where, asked: Asked): Promise<Said | string> {
  const { server, withinMs = 10_000 } = asked
  const fd = openSocket(place, 'tcp', anyOf(server), 0)
  const to = sockaddr(parseIp(server), 53)
  // It is on its way then, or refused, which the socket tells.
  libc.connect(fd, to, to.length)
  const socket = new Socket({ fd })
  const question = questionOf(asked, 7)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(question.length)
  let received = Buffer.alloc(0)
  return await new Promise(resolve => {
    const end = (what: Said | string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(what)
    }
    const timer = setTimeout(() => end('silence'), withinMs)
    socket.on('error', error => end(error.message))
    socket.on('close', () => end('closed'))
    socket.on('data', data => {
      received = Buffer.concat([received, data])
      const isWhole = received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)
      if (isWhole) end(readSaid(received.subarray(2)))
    })
    socket.write(Buffer.concat([length, question]))
  })
}

/** A name server at port 53 of an address; what it says is up to each test. */
export class NameServer {
  readonly asked: string[] = []
  readonly #close: (() => void)[] = []

  private constructor() {}

  /** @param answers undefined: silence */
  static async at(
    place: Where,
    address: string,
    answers: (name: string, type: string) => Answer[] | undefined,
  ): Promise<NameServer> {
    const server = new NameServer()
    const reply = (message: Buffer): Buffer | undefined => {
      const { id = 0, questions = [] } = decode(message)
      const [{ name = '', type = 'A' } = {}] = questions
      server.asked.push(`${name} ${type}`)
      const found = answers(name, type)
      const packet: Packet = { type: 'response', id, flags: 0x8180, questions, answers: found ?? [] }
      return found && encode(packet)
    }
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    socket.bind({ fd: openSocket(place, 'udp', address, 53) })
    socket.on('message', (message, { port, address }) => {
      const answer = reply(message)
      if (answer !== undefined) socket.send(answer, port, address)
    })
    const listener = createServer(connection => {
      connection.on('error', () => {})
      connection.on('data', data => {
        const answer = reply(data.subarray(2))
        if (answer === undefined) return
        const length = Buffer.alloc(2)
        length.writeUInt16BE(answer.length)
        connection.write(Buffer.concat([length, answer]))
      })
    })
    listener.listen({ fd: openSocket(place, 'tcp', address, 53) })
    await once(listener, 'listening')
    server.#close.push(
      () => socket.close(),
      () => listener.close(),
    )
    return server
  }

  [Symbol.dispose](): void {
    for (const close of this.#close) close()
  }
}
