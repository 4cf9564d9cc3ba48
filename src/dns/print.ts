/**
 * Messages as bytes. The question of an answer is the client's own bytes, since glibc wants them back; whoever is
 * spoken of is a pointer to them, so that two hundred addresses fit where forty would.
 */

import { bytesOf, type Ip } from '../model/address/address.ts'
import { type Query, type Refused, rcode } from './query.ts'
import { flag, HEADER, type Message, RECURSION_AVAILABLE, type } from './walk.ts'

/** Who asks without EDNS takes so much over UDP, and nobody is sent more than fits every path (dnsflagday.net/2020). */
const PLAIN_SIZE = 512
const LARGEST_SIZE = 1232
const TCP_SIZE = 65_535

export type Carrier = 'udp' | 'tcp'

/** How long an answer to this query may be. */
export function roomFor({ edns }: Pick<Query, 'edns'>, carrier: Carrier): number {
  if (carrier === 'tcp') return TCP_SIZE
  return Math.min(Math.max(edns?.size ?? PLAIN_SIZE, PLAIN_SIZE), LARGEST_SIZE)
}

const IN = 1
/** Containers come and go: nobody shall remember. */
const TTL_S = 0
const OPT_LENGTH = 11
/** The question's name: a pointer behind the header. */
const ASKED_NAME = 0xc000 | HEADER

/** The data of a record, as it is on the wire. */
export interface Data {
  type: number
  bytes: Uint8Array
}

export const addressData = (ip: Ip): Data => {
  const bytes = bytesOf(ip)
  return { type: bytes.length === 4 ? type.A : type.AAAA, bytes }
}

/** @param name a host's name, whose labels are short enough */
export const pointerData = (name: string): Data => ({
  type: type.PTR,
  bytes: Uint8Array.from([
    ...name.split('.').flatMap(label => [label.length, ...Buffer.from(label, 'latin1')]),
    0,
  ]),
})

/** An answer of our own. What does not fit is left out, and the answer says so. */
export function printAnswer(
  query: Query,
  carrier: Carrier,
  code: number,
  data: readonly Data[] = [],
): Uint8Array {
  const room = roomFor(query, carrier) - (query.edns === undefined ? 0 : OPT_LENGTH)
  const head = HEADER + query.questionBytes.length
  let length = head
  let count = 0
  for (const { bytes } of data) {
    const more = 12 + bytes.length
    if (length + more > room || count === 0xffff) break
    length += more
    count++
  }
  const isKnown = code === rcode.noError || code === rcode.nxDomain
  const own = (isKnown ? flag.authoritative : 0) | (count < data.length ? flag.truncated : 0)
  const flags = flag.response | query.echoed | own | RECURSION_AVAILABLE | (code & 0xf)
  const message = new Uint8Array(length + (query.edns === undefined ? 0 : OPT_LENGTH))
  const view = new DataView(message.buffer)
  printHead(view, { id: query.id, flags, counts: [1, count, 0, query.edns === undefined ? 0 : 1] })
  message.set(query.questionBytes, HEADER)
  let at = head
  for (const { type, bytes } of data.slice(0, count)) {
    view.setUint16(at, ASKED_NAME)
    view.setUint16(at + 2, type)
    view.setUint16(at + 4, IN)
    view.setUint32(at + 6, TTL_S)
    view.setUint16(at + 10, bytes.length)
    message.set(bytes, at + 12)
    at += 12 + bytes.length
  }
  if (query.edns !== undefined) printOption(view, at, LARGEST_SIZE, (code >> 4) * 0x1000000)
  return message
}

/** An answer to what is no question that could be repeated. */
export function printRefusal({ id, echoed, rcode: code }: Refused): Uint8Array {
  const view = new DataView(new ArrayBuffer(HEADER))
  printHead(view, { id, flags: flag.response | echoed | RECURSION_AVAILABLE | code, counts: [0, 0, 0, 0] })
  return new Uint8Array(view.buffer)
}

/** The query as we ask it elsewhere: the same question, and nothing else of what the client sent. */
export function printQuery(query: Query, id: number, carrier: Carrier): Uint8Array {
  const { edns, questionBytes, echoed } = query
  const head = HEADER + questionBytes.length
  const message = new Uint8Array(head + (edns === undefined ? 0 : OPT_LENGTH))
  const view = new DataView(message.buffer)
  printHead(view, { id, flags: echoed, counts: [1, 0, 0, edns === undefined ? 0 : 1] })
  message.set(questionBytes, HEADER)
  if (edns !== undefined) printOption(view, head, roomFor(query, carrier), edns.wantsDnssec ? 0x8000 : 0)
  return message
}

/**
 * Somebody else's answer as the client gets it: under its own number, and cut between two records where it is too long.
 * @param answer as it was read of `bytes`
 */
export function passOn(query: Query, carrier: Carrier, bytes: Uint8Array, answer: Message): Uint8Array {
  const room = roomFor(query, carrier)
  const flags = (answer.flags & ~flag.authoritative) | flag.response | RECURSION_AVAILABLE
  if (bytes.length <= room) {
    const whole = new Uint8Array(bytes)
    const view = new DataView(whole.buffer)
    view.setUint16(0, query.id)
    view.setUint16(2, flags)
    whole.set(query.questionBytes, HEADER)
    return whole
  }
  const optionLength = query.edns === undefined ? 0 : OPT_LENGTH
  const kept = answer.records.filter(({ section, end }) => section === 'answer' && end <= room - optionLength)
  const end = kept.at(-1)?.end ?? answer.question.end
  const part = new Uint8Array(end + optionLength)
  part.set(bytes.subarray(0, end))
  part.set(query.questionBytes, HEADER)
  const view = new DataView(part.buffer)
  printHead(view, {
    id: query.id,
    flags: flags | flag.truncated,
    counts: [1, kept.length, 0, query.edns === undefined ? 0 : 1],
  })
  if (query.edns !== undefined) printOption(view, end, LARGEST_SIZE, 0)
  return part
}

/** Nobody could say. */
export const printFailure = (query: Query, carrier: Carrier): Uint8Array =>
  printAnswer(query, carrier, rcode.servFail)

function printHead(view: DataView, head: { id: number; flags: number; counts: readonly number[] }): void {
  view.setUint16(0, head.id)
  view.setUint16(2, head.flags)
  head.counts.forEach((count, i) => {
    view.setUint16(4 + 2 * i, count)
  })
}

/** RFC 6891, 6.1.2: of nobody, with its sender's size for a class, and flags for a time to live. */
function printOption(view: DataView, at: number, size: number, flags: number): void {
  view.setUint8(at, 0)
  view.setUint16(at + 1, type.OPT)
  view.setUint16(at + 3, size)
  view.setUint32(at + 5, flags)
  view.setUint16(at + 9, 0)
}
