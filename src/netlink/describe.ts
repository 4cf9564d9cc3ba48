/**
 * Messages in words, for people who look at a conversation.
 *
 *     RTM_NEWLINK request ack excl create, sequence 5
 *       flags 1
 *       change 1
 *       name "web"
 *       linkInfo
 *         kind "bridge"
 *
 * It reads the same tables as the functions that talk to the kernel; what no table lists is shown as bytes.
 * Nothing makes it throw: what contradicts itself is shown as such.
 */

import { errnoText } from '../ffi/ffi.ts'
import { addressMessage } from './address.ts'
import { eachAttribute } from './attributes.ts'
import { type Codec, MalformedError } from './codecs.ts'
import * as k from './constants.ts'
import { bridgeLinkMessage, linkMessage } from './link/tables.ts'
import { eachMessage, type Message, readVerdict } from './message.ts'
import { neighbourMessage } from './neighbour.ts'
import { filterMessage, qdiscMessage } from './qdisc/tables.ts'
import { routeMessage } from './route-tables.ts'
import type { Transport } from './socket.ts'

/** The objects of rtnetlink; each has four message types: NEW, DEL, GET, SET. */
const objects: Record<number, { name: string; codec: Codec<unknown> }> = {
  [k.RTM_NEWLINK]: { name: 'LINK', codec: linkMessage },
  [k.RTM_NEWADDR]: { name: 'ADDR', codec: addressMessage },
  [k.RTM_NEWROUTE]: { name: 'ROUTE', codec: routeMessage },
  [k.RTM_NEWNEIGH]: { name: 'NEIGH', codec: neighbourMessage },
  [k.RTM_NEWQDISC]: { name: 'QDISC', codec: qdiscMessage },
  [k.RTM_NEWTFILTER]: { name: 'TFILTER', codec: filterMessage },
}
const verbs = ['NEW', 'DEL', 'GET', 'SET'] as const

const generalFlags: [number, string][] = [
  [k.NLM_F_REQUEST, 'request'],
  [k.NLM_F_MULTI, 'multi'],
  [k.NLM_F_ACK, 'ack'],
  [k.NLM_F_DUMP_INTR, 'interrupted'],
]
const flagsOf: Record<string, [number, string][]> = {
  NEW: [
    [k.NLM_F_REPLACE, 'replace'],
    [k.NLM_F_EXCL, 'excl'],
    [k.NLM_F_CREATE, 'create'],
    [k.NLM_F_APPEND, 'append'],
  ],
  GET: [[k.NLM_F_DUMP, 'dump']],
}

/** All messages of a datagram, each over several lines. */
export function describe(datagram: Uint8Array): string {
  return attempt(datagram, lines => {
    for (const message of eachMessage(datagram)) lines.push(...describeMessage(message))
  }).join('\n')
}

/** A transport that lets somebody read along: `>` what is asked, `<` what is answered. */
export const overheard = (transport: Transport, print: (text: string) => void): Transport => ({
  send(datagram) {
    print(describe(datagram).replace(/^/gm, '> '))
    transport.send(datagram)
  },
  receive(wait) {
    const datagram = transport.receive(wait)
    print(describe(datagram).replace(/^/gm, '< '))
    return datagram
  },
  poll() {
    const datagram = transport.poll()
    if (datagram !== undefined) print(describe(datagram).replace(/^/gm, '< '))
    return datagram
  },
  [Symbol.dispose]: () => transport[Symbol.dispose](),
})

function describeMessage(message: Message): string[] {
  const { type, flags, sequence, payload } = message
  const verb = verbs[type & 3] ?? 'NEW'
  const object = objects[type & ~3]
  if (type === k.NLMSG_ERROR || type === k.NLMSG_DONE) {
    return [
      `${type === k.NLMSG_DONE ? 'done' : 'verdict'}, sequence ${sequence}`,
      ...indent(verdict(message)),
    ]
  }
  const words = [...generalFlags, ...(flagsOf[object ? verb : ''] ?? [])]
    .filter(([bits]) => (flags & bits) === bits)
    .map(([, word]) => word)
  const title = [object ? `RTM_${verb}${object.name}` : `type ${type}`, ...words].join(' ')
  const bridge = object?.codec === linkMessage && payload[0] === k.AF_BRIDGE
  const codec = bridge ? bridgeLinkMessage : object?.codec
  return [`${title}, sequence ${sequence}`, ...indent(codec ? describeValue(codec, payload) : [hex(payload)])]
}

const verdict = (message: Message): string[] =>
  attempt(message.payload, lines => {
    const { errno, text } = readVerdict(message)
    lines.push(errno === 0 ? 'success' : errnoText(errno))
    if (text !== undefined) lines.push(`text ${JSON.stringify(text)}`)
  })

/** A value over several lines. */
function describeValue(codec: Codec<unknown>, bytes: Uint8Array): string[] {
  return attempt(bytes, lines => {
    const { fields, rowFor, attributesAt = 0 } = codec
    if (fields !== undefined) {
      for (const [name, [offset, field]] of Object.entries(fields)) {
        const value = describeValue(field, bytes.subarray(offset))
        if (field.fields === undefined) {
          if (value[0] !== '0') lines.push(`${name} ${value.join(' ')}`)
        } else if (value.length > 0) lines.push(name, ...indent(value))
      }
    }
    if (rowFor !== undefined) {
      lines.push(...describeAttributes(rowFor, bytes.subarray(Math.min(attributesAt, bytes.length))))
    }
    if (fields === undefined && rowFor === undefined) lines.push(inWords(codec.decode(bytes)))
  })
}

function describeAttributes(rowFor: NonNullable<Codec<unknown>['rowFor']>, bytes: Uint8Array): string[] {
  return attempt(bytes, lines => {
    const before: Record<string, unknown> = {}
    for (const { type, payload } of eachAttribute(bytes)) {
      const row = rowFor(type, before)
      if (row === undefined) {
        lines.push(`attribute ${type}: ${hex(payload)}`)
        continue
      }
      const { name, codec } = row
      const value = describeValue(codec, payload)
      if (codec.fields !== undefined || codec.rowFor !== undefined) {
        lines.push(name, ...indent(value))
      } else {
        lines.push(`${name} ${value.join(' ')}`)
        // Only what a sibling's meaning may hang on is kept.
        before[name] = value[0]?.startsWith('"') ? JSON.parse(value[0]) : undefined
      }
    }
  })
}

/** What `work` wrote before it met bytes that contradict themselves, and then those. */
function attempt(bytes: Uint8Array, work: (lines: string[]) => void): string[] {
  const lines: string[] = []
  try {
    work(lines)
  } catch (thrown) {
    if (!(thrown instanceof MalformedError)) throw thrown
    lines.push(`malformed, ${thrown.message}: ${hex(bytes)}`)
  }
  return lines
}

const indent = (lines: string[]): string[] => lines.map(line => `  ${line}`)

/** The first bytes; who needs them all has strace. */
function hex(bytes: Uint8Array): string {
  const shown = Array.from(bytes.subarray(0, 32), byte => byte.toString(16).padStart(2, '0')).join(' ')
  return bytes.length > 32 ? `${shown} … ${bytes.length} bytes` : shown
}

function inWords(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  if (value instanceof Uint8Array) return hex(value)
  return JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)) ?? ''
}
