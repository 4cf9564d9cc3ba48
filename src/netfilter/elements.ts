/**
 * Elements of sets and maps, as values and as bytes.
 *
 * Ten thousand are added at once: so a run of ports is one value until it is bytes. And the first of a shape
 * (lengths, comment, verdict) is encoded by its table; those that follow are copies of it with another key and
 * other data.
 */

import { present } from '../model/present.ts'
import { attributes, nested, repeated } from '../netlink/attributes.ts'
import type { ValueOf } from '../netlink/codecs.ts'
import { NFT_SET_ELEM_INTERVAL_END } from './constants.ts'
import { element } from './tables.ts'
import { commentData, commentIn } from './userdata.ts'

/** What a map of verdicts holds. */
export interface ElementVerdict {
  code: 'accept' | 'drop' | 'return' | 'jump' | 'goto'
  /** Where to, of jumps. */
  chain?: string
}

/** One entry of a set or map; keys and data as set-types.ts makes them. */
export interface SetElement {
  key: Uint8Array
  /** The last key of a range in a set of concatenations; `key` is its first. */
  keyEnd?: Uint8Array
  /** In a set of intervals: the one that began before ends here, with what is below the key. */
  isEnd?: boolean
  /** In maps of data. */
  data?: Uint8Array
  /** In maps of verdicts. */
  verdict?: ElementVerdict
  /** In maps of counters: the name of its counter. */
  object?: string
  comment?: string
  /** In sets of elements that time out: how long it stays. What is listed does not say it. */
  timeoutS?: number
  /** Of those that count, as they are listed: packets that have found it. */
  packets?: number
  /** Of those that time out, as they are listed: milliseconds until then. */
  expiresMs?: number
}

/** One element, or those of a range of ports. */
export interface ElementRun extends SetElement {
  /** So many (default 1). Key and data, where there are data, end in a port, four bytes wide, one higher in each. */
  count?: number
}

const list = attributes({ all: [1, repeated(nested(element))] })

function encodeOne({ key, keyEnd, isEnd, data, verdict, object, comment, timeoutS }: SetElement): Uint8Array {
  return list.encode({
    all: [
      {
        key: { value: key },
        data: data !== undefined ? { value: data } : verdict && { verdict },
        flags: isEnd ? NFT_SET_ELEM_INTERVAL_END : undefined,
        timeout: timeoutS === undefined ? undefined : BigInt(timeoutS) * 1000n,
        userdata: comment === undefined ? undefined : commentData(comment),
        object,
        keyEnd: keyEnd && { value: keyEnd },
      },
    ],
  })
}

/** Headers of the element, of its key and of the key's value. */
const KEY_AT = 12
/** From the end of the key to the data: headers of the data and of its value. */
const DATA_AFTER = 8
const aligned = (length: number): number => (length + 3) & ~3

const sameShape = (a: SetElement, b: SetElement): boolean =>
  a.key.length === b.key.length &&
  a.data?.length === b.data?.length &&
  a.comment === b.comment &&
  a.object === b.object &&
  a.verdict?.code === b.verdict?.code &&
  a.verdict?.chain === b.verdict?.chain &&
  a.isEnd === b.isEnd &&
  a.timeoutS === b.timeoutS &&
  a.keyEnd === undefined &&
  b.keyEnd === undefined

/** Elements that fit into one attribute. */
export interface ElementGroup {
  bytes: Uint8Array
  /** Which one begins there in the bytes. */
  find: (offset: number) => SetElement | undefined
}

/** Elements of a run that lie behind one another in a group. */
interface Stretch {
  run: ElementRun
  /** Of which of them the first is. */
  first: number
  /** Where it begins, and how long each is. */
  start: number
  size: number
  count: number
}

/** Of the 64 KiB of an attribute some are left for its own header, and what rounding takes. */
const GROUP_MAX = 60_000

/** Where a group grows; what is done with it is a copy. */
const buffer = new Uint8Array(GROUP_MAX)

/** Elements as bytes, in groups of which each fits into one message; at least one group. */
export function groupElements(runs: readonly ElementRun[]): ElementGroup[] {
  const groups: ElementGroup[] = []
  let [length, stretches]: [number, Stretch[]] = [0, []]
  const close = (): void => {
    groups.push({ bytes: buffer.slice(0, length), find: finder(stretches) })
    ;[length, stretches] = [0, []]
  }
  let shape: { element: SetElement; bytes: Uint8Array } | undefined
  for (const run of runs) {
    if (shape === undefined || !sameShape(shape.element, run)) shape = { element: run, bytes: encodeOne(run) }
    const { bytes } = shape
    for (let first = 0, left = run.count ?? 1; left > 0; ) {
      if (length + bytes.length > GROUP_MAX) close()
      const count = Math.min(left, Math.floor((GROUP_MAX - length) / bytes.length))
      const stretch = { run, first, start: length, size: bytes.length, count }
      write(stretch, bytes)
      stretches.push(stretch)
      length += count * bytes.length
      first += count
      left -= count
    }
  }
  if (length > 0 || groups.length === 0) close()
  return groups
}

/** @param shape an element of the same shape */
function write({ run, first, start, size, count }: Stretch, shape: Uint8Array): void {
  const { key, data } = run
  const keyEnd = KEY_AT + key.length
  const dataAt = KEY_AT + aligned(key.length) + DATA_AFTER
  for (let i = 0, at = start; i < count; i++, at += size) {
    buffer.set(shape, at)
    buffer.set(key, at + KEY_AT)
    if (data !== undefined) buffer.set(data, at + dataAt)
    if (first + i === 0) continue
    raisePort(buffer, at + keyEnd, first + i)
    if (data !== undefined) raisePort(buffer, at + dataAt + data.length, first + i)
  }
}

const PORT_FIELD = 4

/** Counts up the port that a key ends in. @param end of the key @throws RangeError past the last port */
function raisePort(bytes: Uint8Array, end: number, by: number): void {
  const at = end - PORT_FIELD
  const port = (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) + by
  if (port > 0xffff) throw new RangeError(`there is no port ${port}`)
  bytes[at] = port >> 8
  bytes[at + 1] = port
}

const finder =
  (stretches: readonly Stretch[]) =>
  (offset: number): SetElement | undefined => {
    const stretch = stretches.find(
      ({ start, size, count }) => offset >= start && offset < start + count * size,
    )
    if (stretch === undefined || (offset - stretch.start) % stretch.size !== 0) return undefined
    return elementOf(stretch.run, stretch.first + (offset - stretch.start) / stretch.size)
  }

/** One element of a run, counted from 0. */
function elementOf({ count: _, ...first }: ElementRun, index: number): SetElement {
  if (index === 0) return first
  const raised = (bytes: Uint8Array): Uint8Array => {
    const copy = Uint8Array.from(bytes)
    raisePort(copy, copy.length, index)
    return copy
  }
  return { ...first, key: raised(first.key), ...(first.data && { data: raised(first.data) }) }
}

/** An element of a listing. What its comment says is anybody's. */
export function readElement(listed: ValueOf<typeof element>): SetElement {
  const { key, keyEnd, flags = 0, data, object, userdata, expression, expiration } = listed
  const code = data?.verdict?.code
  return present({
    key: key?.value ?? new Uint8Array(),
    keyEnd: keyEnd?.value,
    isEnd: (flags & NFT_SET_ELEM_INTERVAL_END) !== 0 || undefined,
    data: data?.value,
    verdict:
      code === undefined
        ? undefined
        : present({ code: code as ElementVerdict['code'], chain: data?.verdict?.chain }),
    object,
    comment: commentIn(userdata),
    packets: numberOf(expression?.counter?.packets),
    expiresMs: numberOf(expiration),
  })
}

const numberOf = (value: bigint | undefined): number | undefined =>
  value === undefined ? undefined : Number(value)
