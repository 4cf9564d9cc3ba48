/**
 * A system bus for one host of the lab, with a firewalld on it that remembers which address is in which
 * zone. It speaks as much of D-Bus as clients need who ask one thing: authentication, method calls with
 * strings, and answers.
 *
 * Source: the D-Bus specification, "Message Protocol" and "Authentication Protocol".
 */

import { mkdirSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import type { Host } from 'tsnet/lab'

interface Call {
  serial: number
  member: string
  words: string[]
}

type Answer = { value: string | boolean } | { error: string }

export class SystemBus implements AsyncDisposable {
  /** Zone by address. */
  readonly sources = new Map<string, string>()
  readonly zones = new Set(['trusted', 'dmz'])
  /** False: the bus is there, firewalld is not. */
  isRunning = true
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', socket => serve(socket, call => this.#answer(call)))
  }

  static async open(host: Host): Promise<SystemBus> {
    mkdirSync(host.path('/run/dbus'))
    const bus = new SystemBus(createServer())
    await new Promise<void>(resolve => {
      bus.#server.listen(host.path('/run/dbus/system_bus_socket'), resolve)
    })
    return bus
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
  }

  #answer({ member, words: [zone = '', source = ''] }: Call): Answer {
    if (member === 'Hello') return { value: ':1.1' }
    if (member === 'NameHasOwner') return { value: this.isRunning }
    if (!this.isRunning) return { error: 'The name is not activatable' }
    if (member === 'GetNameOwner') return { value: ':1.0' }
    if (!this.zones.has(zone)) return { error: `INVALID_ZONE: ${zone}` }
    const now = this.sources.get(source)
    switch (member) {
      case 'addSource':
        if (now === zone) return { error: `ZONE_ALREADY_SET: '${source}' already bound to '${zone}'` }
        if (now !== undefined) return { error: `ZONE_CONFLICT: '${source}' already bound to '${now}'` }
        this.sources.set(source, zone)
        return { value: zone }
      case 'removeSource':
        if (now !== zone) return { error: `UNKNOWN_SOURCE: '${source}' is not in '${zone}'` }
        this.sources.delete(source)
        return { value: zone }
      case 'querySource':
        return { value: now === zone }
      default:
        return { error: `there is no method ${member}` }
    }
  }
}

function serve(socket: Socket, answer: (call: Call) => Answer): void {
  let bytes = Buffer.alloc(0)
  let begun = false
  socket.on('error', () => socket.destroy())
  socket.on('data', chunk => {
    bytes = Buffer.concat([bytes, chunk])
    for (let end = bytes.indexOf('\r\n'); !begun && end >= 0; end = bytes.indexOf('\r\n')) {
      const line = bytes.toString('latin1', 0, end).replace('\0', '')
      bytes = bytes.subarray(end + 2)
      begun = line === 'BEGIN'
      if (!begun) socket.write(greet(line))
    }
    while (begun) {
      const length = lengthOf(bytes)
      if (length === undefined || bytes.length < length) return
      const call = readCall(bytes.subarray(0, length))
      bytes = bytes.subarray(length)
      socket.write(reply(call.serial, answer(call)))
    }
  })
}

function greet(line: string): string {
  if (line === 'NEGOTIATE_UNIX_FD') return 'AGREE_UNIX_FD\r\n'
  if (line === 'AUTH EXTERNAL') return 'DATA\r\n'
  if (line === 'AUTH') return 'REJECTED EXTERNAL\r\n'
  return 'OK 0123456789abcdef0123456789abcdef\r\n'
}

const aligned = (offset: number, to: number): number => Math.ceil(offset / to) * to

const HEADER = 16

/** Of a whole message; undefined where not even that is known. Clients here are little-endian. */
function lengthOf(bytes: Buffer): number | undefined {
  if (bytes.length < HEADER) return undefined
  return aligned(HEADER + bytes.readUInt32LE(12), 8) + bytes.readUInt32LE(4)
}

function readCall(bytes: Buffer): Call {
  const fieldsEnd = HEADER + bytes.readUInt32LE(12)
  let member = ''
  for (let at = HEADER; at < fieldsEnd; ) {
    at = aligned(at, 8)
    const [code, signature] = [bytes[at], String.fromCharCode(bytes[at + 2] ?? 0)]
    at += 4
    if (signature === 'g') at += (bytes[at] ?? 0) + 2
    else {
      at = aligned(at, 4)
      const value = bytes.readUInt32LE(at)
      at += 4
      if (signature === 'u') continue
      if (code === 3) member = bytes.toString('utf8', at, at + value)
      at += value + 1
    }
  }
  const words: string[] = []
  for (let at = aligned(fieldsEnd, 8); at + 4 < bytes.length; ) {
    at = aligned(at, 4)
    const length = bytes.readUInt32LE(at)
    words.push(bytes.toString('utf8', at + 4, at + 4 + length))
    at += 4 + length + 1
  }
  return { serial: bytes.readUInt32LE(8), member, words }
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

const text = (value: string): Buffer =>
  Buffer.concat([u32(Buffer.byteLength(value)), Buffer.from(`${value}\0`)])

const padded = (bytes: Buffer, to: number): Buffer =>
  Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length, to) - bytes.length)])

function reply(serial: number, answer: Answer): Buffer {
  const failed = 'error' in answer
  const value = failed ? answer.error : answer.value
  const body = typeof value === 'string' ? text(value) : u32(value ? 1 : 0)
  const signature = typeof value === 'string' ? 's' : 'b'
  const fields = [
    Buffer.concat([Buffer.from([5, 1, 0x75, 0]), u32(serial)]),
    Buffer.concat([Buffer.from([8, 1, 0x67, 0, 1]), Buffer.from(`${signature}\0`)]),
    Buffer.concat([Buffer.from([7, 1, 0x73, 0]), text('org.freedesktop.DBus')]),
    ...(failed
      ? [Buffer.concat([Buffer.from([4, 1, 0x73, 0]), text('org.fedoraproject.FirewallD1.Exception')])]
      : []),
  ]
  const packed = fields.reduce((all, field) => Buffer.concat([padded(all, 8), field]), Buffer.alloc(0))
  const header = Buffer.concat([
    Buffer.from([0x6c, failed ? 3 : 2, 1, 1]),
    u32(body.length),
    u32(serial),
    u32(packed.length),
    packed,
  ])
  return Buffer.concat([padded(header, 8), body])
}
