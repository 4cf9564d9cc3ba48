/**
 * Expressions as nft makes them of its words.
 *
 * A single value goes through register 1, which has 16 bytes. Registers from 8 on are its parts and those of
 * its neighbours, 4 bytes each: the fields of a concatenation lie in a row there, and the first of them is
 * register 1 again.
 */

import { attributes } from '../netlink/attributes.ts'
import { be64, binary, u32, zstr } from '../netlink/codecs.ts'
import * as k from './constants.ts'
import type { ExpressionInput } from './expression-tables.ts'
import type { RuleExpression, SetLiteral } from './rule.ts'

const FIRST = k.NFT_REG_1
const REGISTER_BYTES = 4

/** The register `bytes` behind the first: where a field of a concatenation goes. */
export const registerAt = (bytes: number): number =>
  bytes === 0
    ? FIRST
    : bytes % 16 === 0
      ? FIRST + bytes / 16
      : k.NFT_REG32_00 + Math.ceil(bytes / REGISTER_BYTES)

type Key<Name extends keyof ExpressionInput> = NonNullable<ExpressionInput[Name]>

/** What is known of a packet beside its bytes: `meta('iifname')`. */
export const meta = (key: Key<'meta'>['key'], dreg = FIRST): ExpressionInput => ({
  name: 'meta',
  meta: { key, dreg },
})

/** Bytes of a header. */
export const payload = (
  base: Key<'payload'>['base'],
  offset: number,
  length: number,
  dreg = FIRST,
): ExpressionInput => ({ name: 'payload', payload: { base, offset, length, dreg } })

/** What the connection is: its `state`, or its `status`. */
export const ct = (key: Key<'ct'>['key'], dreg = FIRST): ExpressionInput => ({
  name: 'ct',
  ct: { key, dreg },
})

/** To whom a packet is handed next: the gateway of its route, or where there is none its destination. */
export const nextHop = (family: 'ip' | 'ip6', dreg = FIRST): ExpressionInput => ({
  name: 'rt',
  rt: { dreg, key: family === 'ip' ? 'nexthop4' : 'nexthop6' },
})

/** Bits are set in the packet's mark; the others stay. Equivalent to: meta mark set meta mark | BITS */
export const markWith = (bits: number): readonly ExpressionInput[] => [
  meta('mark'),
  {
    name: 'bitwise',
    bitwise: {
      sreg: FIRST,
      dreg: FIRST,
      length: 4,
      mask: { value: u32.encode(~bits >>> 0) },
      xor: { value: u32.encode(bits) },
    },
  },
  { name: 'meta', meta: { key: 'mark', sreg: FIRST } },
]

/** Of what kind the destination is for this host; RTN_LOCAL is 2. Equivalent to: fib daddr type */
export const fibDestinationType = (dreg = FIRST): ExpressionInput => ({
  name: 'fib',
  fib: { dreg, result: 'type', flags: k.NFTA_FIB_F_DADDR },
})

/** Whether this host would answer by the interface at which it came. Equivalent to: fib saddr . iif oif */
export const fibWayBack = (dreg = FIRST): ExpressionInput => ({
  name: 'fib',
  fib: { dreg, result: 'oif', flags: k.NFTA_FIB_F_SADDR | k.NFTA_FIB_F_IIF | k.NFTA_FIB_F_PRESENT },
})

/** Ends the rule where the register is not as it should be. */
export const cmp = (op: 'eq' | 'neq', value: Uint8Array, sreg = FIRST): ExpressionInput => ({
  name: 'cmp',
  cmp: { sreg, op, data: { value } },
})

/** Leaves the bits of a mask. */
export const mask = (bits: Uint8Array, register = FIRST): ExpressionInput => ({
  name: 'bitwise',
  bitwise: {
    sreg: register,
    dreg: register,
    length: bits.length,
    mask: { value: bits },
    xor: { value: new Uint8Array(bits.length) },
  },
})

export interface LookupOptions {
  /** Goes on where it is not found. */
  not?: boolean
  /** Where data goes; 0 is the verdict. */
  dreg?: number
}

/** Ends the rule where the set has no such key. */
export const lookup = (
  set: string | SetLiteral,
  { not = false, dreg }: LookupOptions = {},
): RuleExpression => ({
  name: 'lookup',
  lookup: {
    sreg: FIRST,
    dreg,
    flags: not ? k.NFT_LOOKUP_F_INV : undefined,
    ...(typeof set === 'string' && { set }),
  },
  ...(typeof set !== 'string' && { literal: set }),
})

/** An expression within another, to the byte as the kernel gives it back: so what is there can be compared with it. */
const COUNTER = attributes({ name: [1, zstr], data: [2, binary] }).encode({
  name: 'counter',
  data: attributes({ bytes: [1, be64], packets: [2, be64] }).encode({ bytes: 0n, packets: 0n }),
})

/** Puts the key in the register into a set; `update`: has it stay so long from now on; counted: how often. Ends the rule where the set is full. */
export const intoSet = (
  set: string,
  operation: 'add' | 'update',
  timeoutS: number | undefined,
  isCounted = false,
): ExpressionInput => ({
  name: 'dynset',
  dynset: {
    set,
    operation,
    keyRegister: FIRST,
    timeout: timeoutS === undefined ? undefined : BigInt(timeoutS) * 1000n,
    expression: isCounted ? COUNTER : undefined,
  },
})

/** A verdict: `drop`, or `jump` to a chain. */
export const verdict = (
  code: 'accept' | 'drop' | 'return' | 'jump' | 'goto',
  chain?: string,
): ExpressionInput => ({
  name: 'immediate',
  immediate: { dreg: k.NFT_REG_VERDICT, data: { verdict: { code, chain } } },
})

/** A value into a register. */
export const immediate = (value: Uint8Array, dreg = FIRST): ExpressionInput => ({
  name: 'immediate',
  immediate: { dreg, data: { value } },
})

/** Has the kernel tell what becomes of the packet (trace.ts). Equivalent to: meta nftrace set 1 */
export const traced: readonly ExpressionInput[] = [
  immediate(Uint8Array.of(1)),
  { name: 'meta', meta: { key: 'nftrace', sreg: FIRST } },
]

export const counter: ExpressionInput = { name: 'counter', counter: { bytes: 0n, packets: 0n } }

/** Counts by the counter that a map has for the key in the register; ends the rule where it has none. */
export const counterOf = (map: string): ExpressionInput => ({
  name: 'objref',
  objref: { sreg: FIRST, set: map },
})

export const masquerade: ExpressionInput = { name: 'masq', masq: {} }

/** Another destination, out of registers. */
export const dnat = (family: 'ip' | 'ip6', address: number, port: number): ExpressionInput => ({
  name: 'nat',
  nat: { type: k.NFT_NAT_DNAT, family: family === 'ip' ? 2 : 10, addressMin: address, portMin: port },
})

/** Another source, out of a register. */
export const snat = (family: 'ip' | 'ip6', address: number): ExpressionInput => ({
  name: 'nat',
  nat: { type: k.NFT_NAT_SNAT, family: family === 'ip' ? 2 : 10, addressMin: address },
})
