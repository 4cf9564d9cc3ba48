/**
 * Elements of sets and maps, as values and as bytes.
 *
 * Ten thousand are added at once: so the first of a shape (lengths, comment, verdict) is encoded by its
 * table, and those that follow are copies of it with another key and other data.
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
  comment?: string
}

const list = attributes({ all: [1, repeated(nested(element))] })

function encodeOne({ key, keyEnd, isEnd, data, verdict, comment }: SetElement): Uint8Array {
  return list.encode({
    all: [
      {
        key: { value: key },
        data: data !== undefined ? { value: data } : verdict && { verdict },
        flags: isEnd ? NFT_SET_ELEM_INTERVAL_END : undefined,
        userdata: comment === undefined ? undefined : commentData(comment),
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
  a.verdict?.code === b.verdict?.code &&
  a.verdict?.chain === b.verdict?.chain &&
  a.isEnd === b.isEnd &&
  a.keyEnd === undefined &&
  b.keyEnd === undefined

/** Elements that fit into one attribute. */
export interface ElementGroup {
  bytes: Uint8Array
  elements: readonly SetElement[]
  /** Where each begins in the bytes. */
  offsets: readonly number[]
}

/** Of the 64 KiB of an attribute some are left for its own header, and what rounding takes. */
const GROUP_MAX = 60_000

/** Where a group grows; what is done with it is a copy. */
const buffer = new Uint8Array(GROUP_MAX)

/** Elements as bytes, in groups of which each fits into one message; at least one group. */
export function groupElements(elements: readonly SetElement[]): ElementGroup[] {
  const groups: ElementGroup[] = []
  let [from, length, offsets]: [number, number, number[]] = [0, 0, []]
  const close = (to: number): void => {
    groups.push({ bytes: buffer.slice(0, length), elements: elements.slice(from, to), offsets })
    ;[from, length, offsets] = [to, 0, []]
  }
  let shape: { element: SetElement; bytes: Uint8Array } | undefined
  for (const [i, each] of elements.entries()) {
    const isKnown = shape !== undefined && sameShape(shape.element, each)
    if (shape === undefined || !isKnown) shape = { element: each, bytes: encodeOne(each) }
    if (length + shape.bytes.length > GROUP_MAX) close(i)
    offsets.push(length)
    buffer.set(shape.bytes, length)
    if (isKnown) {
      buffer.set(each.key, length + KEY_AT)
      if (each.data !== undefined) {
        buffer.set(each.data, length + KEY_AT + aligned(each.key.length) + DATA_AFTER)
      }
    }
    length += shape.bytes.length
  }
  if (offsets.length > 0 || groups.length === 0) close(elements.length)
  return groups
}

/** An element of a listing. What its comment says is anybody's. */
export function readElement({ key, keyEnd, flags = 0, data, userdata }: ValueOf<typeof element>): SetElement {
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
    comment: commentIn(userdata),
  })
}
