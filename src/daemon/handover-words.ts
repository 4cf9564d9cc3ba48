/**
 * The words of a hand-over, looked at as a whole before anything is copied by them. A predecessor may be of any version,
 * and of what it says halves would be worse than nothing: clients would be served by us in part, and by nobody.
 */

import { CONTROL_WORDS, NAME_WORDS } from '../ffi/reactor/message-layout.ts'
import { tryParseIp } from '../model/address/address.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import {
  all,
  flag,
  listOf,
  mapOf,
  number,
  oneOf,
  optional,
  parsed,
  record,
  type Shape,
  text,
  within,
} from '../model/json/shape.ts'
import { cut } from '../model/json/shown.ts'
import { readProxyCall } from '../model/proxy-call.ts'
import type { Handover } from './handover.ts'

const LARGEST = 2 ** 31 - 1
const descriptor = within(0, LARGEST)
/** Of a worker, a port, a target, none of which there are more of than ports. */
const index = within(0, 65_535)

const half = record({ ended: flag, endPassed: flag, pending: optional(text) })
const client = { id: text, worker: optional(index), choice: index }
const connection = record({
  ...client,
  port: index,
  client: descriptor,
  target: optional(descriptor),
  up: half,
  down: half,
})

/** The kernel reads as many as there are: more would be of somebody else's memory. */
const words = (most: number): Shape =>
  all(listOf(within(-(2 ** 31), 2 ** 32 - 1)), value =>
    (value as unknown[]).length <= most ? undefined : ` has more than ${most} words`,
  )
const session = record({
  ...client,
  socket: index,
  target: descriptor,
  answered: flag,
  idleMs: optional(number),
  name: words(NAME_WORDS),
  control: words(CONTROL_WORDS),
})

const call: Shape = value => {
  try {
    readProxyCall(value)
    return undefined
  } catch (thrown) {
    return `: ${messageOf(thrown)}`
  }
}
const address = parsed(tryParseIp, 'an address')
const door = record({ carrier: oneOf('udp', 'tcp'), isHost: flag, descriptor })

const handover = record({
  pid: within(1, LARGEST),
  sockets: mapOf(listOf(listOf(descriptor))),
  connections: listOf(connection),
  sessions: optional(listOf(session)),
  placeholders: optional(mapOf(call)),
  control: optional(descriptor),
  notify: optional(text),
  lock: optional(descriptor),
  names: optional(oneOf(true)),
  resolvers: optional(all(mapOf(listOf(door)), value => keysAre(address, value as object))),
  redirect: optional(record({ asked: descriptor, layout: number })),
})

const greeting = record({ workers: within(1, 64) })

/** What a predecessor hands over. @throws TsnetError `invalid-environment`; nothing was copied */
export const readHandover = (value: unknown): Handover => read(value, handover)

/** What it says of itself. */
export interface Greeting {
  workers: number
}

/** @throws TsnetError `invalid-environment` */
export const readGreeting = (value: unknown): Greeting => read(value, greeting)

function read<T>(value: unknown, shape: Shape): T {
  const wrong = shape(value)
  if (wrong === undefined) return value as T
  throw new TsnetError('invalid-environment', `what the daemon that runs says cannot be: it${wrong}`, {
    details: 'it goes on; stop it before another one starts without --replace',
  })
}

function keysAre(shape: Shape, value: object): string | undefined {
  const other = Object.keys(value).find(key => shape(key) !== undefined)
  return other === undefined ? undefined : `.${cut(other)} is not of an address`
}
