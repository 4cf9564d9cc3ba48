/**
 * The two ends of a UDP flow, as programs:
 *
 *     udp-load.js sink PORT                     counts; prints the count for each line on stdin, and begins anew
 *     udp-load.js send IP PORT RATE MS BYTES    prints how many it has sent
 *
 * They send and receive in batches, so that what lies between them is the bottleneck.
 */

import { createInterface } from 'node:readline'
import { addressOf, libc, must } from '../../src/ffi/ffi.ts'
import { SLOTS } from '../../src/ffi/reactor/message-layout.ts'
import { domainOf, sockaddr } from '../../src/ffi/sockaddr.ts'
import {
  MSG_DONTWAIT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  setReceiveBuffer,
} from '../../src/ffi/socket.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { Datagrams } from '../../src/proxy/datagram/batch.ts'

const BUFFER_BYTES = 8 << 20
/** Between two looks at the clock, or at the socket. */
const PAUSE_MS = 0.1

const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)

function sink(port: number): void {
  const fd = must('socket', libc.socket(2, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
  setReceiveBuffer(fd, BUFFER_BYTES)
  const address = sockaddr(parseIp('0.0.0.0'), port)
  must('bind', libc.bind(fd, address, address.length))
  const datagrams = new Datagrams()
  let count = 0
  createInterface({ input: process.stdin })
    .on('line', () => {
      console.log(count)
      count = 0
    })
    .on('close', () => process.exit())
  const receive = () => {
    for (let batch = 0; batch < 1000; batch++) {
      const received = datagrams.receive(fd)
      if (received > 0) count += received
      if (received < SLOTS) break
    }
    setTimeout(receive, 0)
  }
  receive()
}

function send(ip: string, port: number, rate: number, durationMs: number, bytes: number): number {
  const target = parseIp(ip)
  const fd = must('socket', libc.socket(domainOf(target), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
  const address = sockaddr(target, port)
  must('connect', libc.connect(fd, address, address.length))
  const payload = new Uint8Array(Math.max(bytes, 64))
  const vector = new BigUint64Array(8) // one struct iovec, and room enough for V8 not to move it
  vector.set([addressOf(payload), BigInt(bytes)])
  const headers = new BigUint64Array(SLOTS * 8) // struct mmsghdr[SLOTS]
  for (let slot = 0; slot < SLOTS; slot++) {
    headers.set([addressOf(new Uint8Array(vector.buffer)), 1n], slot * 8 + 2)
  }
  const messages = new Uint8Array(headers.buffer)
  const began = performance.now()
  let sent = 0
  for (;;) {
    const elapsed = performance.now() - began
    if (elapsed >= durationMs) return sent
    const due = Math.floor((elapsed * rate) / 1000) - sent
    if (due < 1) {
      pause()
      continue
    }
    const count = libc.sendmmsg(fd, messages, Math.min(due, SLOTS), MSG_DONTWAIT)
    if (count > 0) sent += count
  }
}

const [role, ...words] = process.argv.slice(2)
if (role === 'sink') sink(Number(words[0]))
else {
  const [ip = '', ...numbers] = words
  const [port = 0, rate = 0, durationMs = 0, bytes = 0] = numbers.map(Number)
  console.log(send(ip, port, rate, durationMs, bytes))
}
