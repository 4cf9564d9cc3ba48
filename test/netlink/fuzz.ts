/**
 * Every parser, fed with arbitrary bytes and with real messages that were damaged: it gives a value or throws
 * MalformedError, and what it gives does not hang on a byte outside of what it was handed.
 */

import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { readAddress } from '../../src/netlink/address.ts'
import { MalformedError } from '../../src/netlink/codecs.ts'
import { NLMSG_DONE, NLMSG_ERROR } from '../../src/netlink/constants.ts'
import { describe } from '../../src/netlink/describe.ts'
import { readVlans } from '../../src/netlink/link/bridge-port.ts'
import { readFdbEntry } from '../../src/netlink/link/fdb.ts'
import { readLink } from '../../src/netlink/link/link.ts'
import { bridgeLinkMessage } from '../../src/netlink/link/tables.ts'
import { eachMessage, readVerdict } from '../../src/netlink/message.ts'
import { readNeighbour } from '../../src/netlink/neighbour.ts'
import { readFilter } from '../../src/netlink/qdisc/filter.ts'
import { readQdisc } from '../../src/netlink/qdisc/qdisc.ts'
import { readRoute } from '../../src/netlink/route.ts'
import { captured, capturedBytes, captureNames } from '../support/captures.ts'

const verdictOf = (type: number) => (payload: Uint8Array) =>
  readVerdict({ type, flags: 0x200, sequence: 1, port: 0, payload })

/** Readers of a message's payload. */
const parsers: Record<string, (payload: Uint8Array) => unknown> = {
  link: payload => readLink({ payload }),
  address: payload => readAddress({ payload }),
  route: payload => readRoute({ payload }),
  neighbour: payload => readNeighbour({ payload }),
  fdb: payload => readFdbEntry({ payload }),
  qdisc: payload => readQdisc({ payload }),
  filter: payload => readFilter({ payload }),
  vlans: payload => readVlans(bridgeLinkMessage.decode(payload).attributes.spec?.vlans),
  refusal: verdictOf(NLMSG_ERROR),
  done: verdictOf(NLMSG_DONE),
}

/** What a parser makes of bytes: its value, or its complaint. @throws whatever else it throws */
function outcome(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): unknown {
  try {
    return parse(bytes)
  } catch (thrown) {
    if (thrown instanceof MalformedError) return thrown.message
    throw thrown
  }
}

/** The same bytes between others, as they lie in a receive buffer. */
function amid(bytes: Uint8Array, filling: number): Uint8Array {
  const buffer = new Uint8Array(bytes.length + 64).fill(filling)
  buffer.set(bytes, 32)
  return buffer.subarray(32, 32 + bytes.length)
}

function holdsWithin(parse: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  const alone = outcome(parse, bytes.slice())
  deepEqual(outcome(parse, amid(bytes, 0)), alone)
  deepEqual(outcome(parse, amid(bytes, 0xff)), alone)
}

/** Bytes of a real message with some of them changed, cut off or doubled. */
const damaged = (originals: Uint8Array[]) =>
  fc
    .record({
      original: fc.constantFrom(...originals),
      changes: fc.array(
        fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 4, 0x7f, 0x80, 0xff))),
        {
          maxLength: 6,
        },
      ),
      keep: fc.option(fc.nat()),
      double: fc.option(fc.tuple(fc.nat(), fc.nat(64))),
    })
    .map(({ original, changes, keep, double }) => {
      let bytes = original.slice()
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      if (keep !== null) bytes = bytes.slice(0, keep % (bytes.length + 1))
      if (double !== null && bytes.length > 0) {
        const at = double[0] % bytes.length
        bytes = Uint8Array.from([
          ...bytes.slice(0, at),
          ...bytes.slice(at, at + double[1]),
          ...bytes.slice(at),
        ])
      }
      return bytes
    })

const whole = captureNames.map(capturedBytes)
const payloads = captureNames.map(name => captured(name).payload)
const anything = fc.uint8Array({ maxLength: 300 })
/** Random bytes rarely have a length that fits; these have. */
const attributeLike = fc
  .array(fc.tuple(fc.nat(70), fc.uint8Array({ maxLength: 40 })), { maxLength: 8 })
  .map(list => {
    const parts = list.map(([type, payload]) => {
      const bytes = new Uint8Array((payload.length + 7) & ~3)
      bytes.set([payload.length + 4, 0, type, 0])
      bytes.set(payload, 4)
      return bytes
    })
    return Uint8Array.from([...new Uint8Array(16), ...parts.flatMap(part => [...part])])
  })

for (const [name, parse] of Object.entries(parsers)) {
  t.test(`the parser of ${name} gives a value or MalformedError, and stays within its bytes`, async t => {
    const within = fc.property(fc.oneof(anything, attributeLike, damaged(payloads)), bytes => {
      holdsWithin(parse, bytes)
    })
    t.doesNotThrow(() => fc.assert(within, { numRuns: 1500 }))
  })
}

t.test('datagrams are taken apart or malformed, and stay within their bytes', async t => {
  const messages = (bytes: Uint8Array) =>
    [...eachMessage(bytes)].map(message => ({ ...message, payload: [...message.payload] }))
  const within = fc.property(fc.oneof(anything, damaged(whole)), bytes => holdsWithin(messages, bytes))
  t.doesNotThrow(() => fc.assert(within, { numRuns: 1000 }))
})

t.test('the printer has words for anything', async t => {
  const words = fc.property(fc.oneof(anything, damaged(whole)), bytes => {
    holdsWithin(describe, bytes)
    return typeof describe(bytes) === 'string'
  })
  t.doesNotThrow(() => fc.assert(words, { numRuns: 500 }))
})
