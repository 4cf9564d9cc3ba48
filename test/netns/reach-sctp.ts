/**
 * SCTP through the list of a container: the first message of an association, as it is on the wire, since to pass it on and to know
 * its ports a kernel needs no SCTP of its own.
 */

import { closeSync } from 'node:fs'
import t from 'tap'
import { type Place, waitFor } from 'tsnet/lab'
import { libc, must } from '../../src/ffi/ffi.ts'
import { domainOf, sockaddr } from '../../src/ffi/sockaddr.ts'
import { SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from '../../src/ffi/socket.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { protocolNumbers } from '../../src/model/port-mapping.ts'
import { openReachSite } from '../support/reach-site.ts'
import { BACKENDS, CLIENT } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

const LISTED = 5000
const OTHER = 5001

const openRaw = (place: Pick<Place, 'inside'>, address: string): number =>
  place.inside(() =>
    must(
      'socket',
      libc.socket(domainOf(parseIp(address)), SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocolNumbers.sctp),
    ),
  )

/** RFC 9260, appendix A. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0)
  }
  return ~crc >>> 0
}

/** INIT, RFC 9260, 3.3.2. @param tag by which it is known again */
function init(port: number, tag: number): Buffer {
  const message = Buffer.alloc(32)
  message.writeUInt16BE(40_000, 0)
  message.writeUInt16BE(port, 2)
  message.writeUInt8(1, 12) // INIT
  message.writeUInt16BE(20, 14)
  message.writeUInt32BE(tag, 16)
  message.writeUInt32BE(65_536, 20)
  message.writeUInt16BE(1, 24)
  message.writeUInt16BE(1, 26)
  message.writeUInt32BE(tag, 28)
  message.writeUInt32LE(crc32c(message), 8)
  return message
}

function send(from: Pick<Place, 'inside'>, to: string, message: Buffer): void {
  const fd = openRaw(from, to)
  const address = sockaddr(parseIp(to), 0)
  must('connect', libc.connect(fd, address, address.length))
  must('send', libc.send(fd, message, message.length, 0))
  closeSync(fd)
}

/** Whether a message comes to the client soon. */
async function arrives(ear: number, tag: number, withinMs: number): Promise<boolean> {
  const mark = Buffer.alloc(4)
  mark.writeUInt32BE(tag)
  const buffer = Buffer.alloc(2_048)
  const heard = () => {
    for (;;) {
      const length = libc.recv(ear, buffer, buffer.length, 0)
      if (length <= 0) return false
      if (buffer.subarray(0, length).includes(mark)) return true
    }
  }
  return waitFor(heard, { what: 'the message', withinMs }).then(
    () => true,
    () => false,
  )
}

for (const backend of BACKENDS) {
  t.test(`${backend}: SCTP passes by the ports that a list has, and by no others`, async t => {
    const allow = [`${CLIENT[4]}:${LISTED}/sctp`, `[${CLIENT[6]}]:${LISTED}/sctp`, `${CLIENT[4]}:${OTHER}`]
    const { scene } = await openReachSite(backend, allow)
    t.teardown(() => scene.close())
    let tag = 0x7473_0000
    for (const to of [CLIENT[4], CLIENT[6]]) {
      const ear = openRaw(scene.client, to)
      const reaches = async (who: 'boxed' | 'mate', port: number, withinMs: number) => {
        send(scene.get(who), to, init(port, ++tag))
        return await arrives(ear, tag, withinMs)
      }
      t.ok(await reaches('boxed', LISTED, 10_000), `${to}: a port that is listed`)
      t.notOk(await reaches('boxed', OTHER, 1_000), `${to}: one that is not, or over TCP`)
      for (const port of [LISTED, OTHER])
        t.ok(await reaches('mate', port, 10_000), `control: ${to}: one that may reach everybody`)
      closeSync(ear)
    }
  })
}
