/**
 * The structure of a message: RFC 1035, 4.1, with the records of RFC 6891. What is not exactly that is no message.
 *
 * A pointer may only lead backwards, and again backwards from there, so none goes round; and all names of a message
 * together may cost no more than a few looks at each of its bytes, however their pointers lead.
 */

export const HEADER = 12

/** Bits of the second word of a header. */
export const flag = { response: 0x8000, opcode: 0x7800, authoritative: 0x400, truncated: 0x200 } as const
export const asked = { recursion: 0x100, unchecked: 0x10 } as const
export const RECURSION_AVAILABLE = 0x80
export const RCODE = 0xf

export const type = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  ANY: 255,
} as const

export interface Question {
  /** Where it begins, and where what is behind it does. */
  start: number
  end: number
  /** Lower case, without the last dot; undefined where a label is none of a host's name. */
  name: string | undefined
  type: number
  class: number
}

export interface Rr {
  section: 'answer' | 'authority' | 'additional'
  start: number
  end: number
  /** Where its data begins, behind the length of it. */
  data: number
  type: number
  /** Of OPT: the sender's size. */
  class: number
  ttl: number
}

export interface Message {
  id: number
  flags: number
  question: Question
  records: Rr[]
}

const LABEL_MAX = 63
const NAME_MAX = 255
const POINTER = 0xc0
/** Of all names, for each byte of the message. */
const LOOKS_PER_BYTE = 16

const wordAt = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
const longAt = (bytes: Uint8Array, at: number): number => wordAt(bytes, at) * 0x10000 + wordAt(bytes, at + 2)

class Reader {
  readonly bytes: Uint8Array
  #looks: number

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#looks = bytes.length * LOOKS_PER_BYTE
  }

  /** @returns where a name ends that begins there; undefined where it is none */
  skipName(start: number, end: number): number | undefined {
    let at = start
    let behind: number | undefined
    let limit = end
    let length = 1
    for (;;) {
      const first = this.bytes[at]
      if (first === undefined || at >= limit || this.#looks-- <= 0) return undefined
      if (first === 0) return behind ?? at + 1
      if (first <= LABEL_MAX) {
        length += first + 1
        at += first + 1
        if (length > NAME_MAX) return undefined
      } else {
        const target = wordAt(this.bytes, at) - (POINTER << 8)
        if ((first & POINTER) !== POINTER || at + 2 > limit || target < HEADER || target >= start)
          return undefined
        behind ??= at + 2
        // What is there may only lead before itself in turn.
        limit = start
        start = target
        at = target
      }
    }
  }

  /** Whether the data of a record is what its type says; of most types, anything is. */
  isData(kind: number, start: number, end: number): boolean {
    if (kind === type.A) return end - start === 4
    if (kind === type.AAAA) return end - start === 16
    const form = withNames.get(kind)
    if (form === undefined) return true
    let at: number | undefined = start + form.before
    for (let left = form.names; left > 0 && at !== undefined; left--) at = this.skipName(at, end)
    return at !== undefined && at + form.behind === end
  }
}

/** Types whose data has names that may be compressed: bytes before them, how many, bytes behind. */
const withNames = new Map<number, { before: number; names: number; behind: number }>([
  [type.NS, { before: 0, names: 1, behind: 0 }],
  [type.CNAME, { before: 0, names: 1, behind: 0 }],
  [type.PTR, { before: 0, names: 1, behind: 0 }],
  [type.MX, { before: 2, names: 1, behind: 0 }],
  [type.SRV, { before: 6, names: 1, behind: 0 }],
  [type.SOA, { before: 0, names: 2, behind: 20 }],
])

/** How many records a message has by its header: of answers, authorities and additionals. */
const countsOf = (bytes: Uint8Array) =>
  [
    ['answer', wordAt(bytes, 6)],
    ['authority', wordAt(bytes, 8)],
    ['additional', wordAt(bytes, 10)],
  ] as const

export const idOf = (bytes: Uint8Array): number => wordAt(bytes, 0)
export const flagsOf = (bytes: Uint8Array): number => wordAt(bytes, 2)
export const questionCountOf = (bytes: Uint8Array): number => wordAt(bytes, 4)

/** A message with one question; undefined where it is none to the last byte. */
export function readMessage(bytes: Uint8Array): Message | undefined {
  if (bytes.length < HEADER || questionCountOf(bytes) !== 1) return undefined
  const question = readQuestion(bytes)
  if (question === undefined) return undefined
  const reader = new Reader(bytes)
  const records: Rr[] = []
  let at = question.end
  for (const [section, count] of countsOf(bytes)) {
    for (let left = count; left > 0; left--) {
      const start = at
      const behindName = reader.skipName(start, bytes.length)
      if (behindName === undefined || behindName + 10 > bytes.length) return undefined
      const kind = wordAt(bytes, behindName)
      const data = behindName + 10
      at = data + wordAt(bytes, behindName + 8)
      if (at > bytes.length || !reader.isData(kind, data, at)) return undefined
      const [class_, ttl] = [wordAt(bytes, behindName + 2), longAt(bytes, behindName + 4)]
      records.push({ section, start, end: at, data, type: kind, class: class_, ttl })
    }
  }
  return at === bytes.length ? { id: idOf(bytes), flags: flagsOf(bytes), question, records } : undefined
}

/** A question has nothing to point to. */
function readQuestion(bytes: Uint8Array): Question | undefined {
  let at = HEADER
  let text = ''
  let isHost = true
  for (;;) {
    const length = bytes[at++]
    if (length === undefined || length > LABEL_MAX || at + length - HEADER > NAME_MAX) return undefined
    if (length === 0) break
    if (at + length > bytes.length) return undefined
    if (text !== '') text += '.'
    for (const end = at + length; at < end; at++) {
      const letter = letterOf(bytes[at] ?? 0)
      if (letter === '') isHost = false
      text += letter
    }
  }
  if (at + 4 > bytes.length) return undefined
  const name = isHost ? text : undefined
  return { start: HEADER, end: at + 4, name, type: wordAt(bytes, at), class: wordAt(bytes, at + 2) }
}

/** Of a host's name, in lower case; empty for any other byte. */
const letters = Array.from({ length: 256 }, (_, byte) => {
  const letter = String.fromCharCode(byte)
  return /[A-Za-z0-9_-]/.test(letter) ? letter.toLowerCase() : ''
})
const letterOf = (byte: number): string => letters[byte] ?? ''

/** Whether two questions, as they are on the wire, ask the same: letters may be upper or lower case. */
export function isSameQuestion(one: Uint8Array, other: Uint8Array): boolean {
  const end = one.length - TYPE_AND_CLASS
  const isSame = (byte: number, i: number): boolean =>
    i < end ? lower(byte) === lower(other[i] ?? 0) : byte === other[i]
  return one.length === other.length && one.every(isSame)
}

const TYPE_AND_CLASS = 4
/** A length is no letter. */
const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)
