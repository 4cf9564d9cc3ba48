/**
 * Rules as plain values, whoever keeps them: nf_tables, nf_tables in iptables' words, or the tables of the
 * legacy variant. What a rule asks of a packet is a list of tests, and all of them have to hold.
 */

import type { Family } from '../model/address/address.ts'

/** Where a value of a packet comes from: a header, by offset, or something the kernel knows about it. */
export interface Source {
  /** `network` and `transport` are headers; else a name such as `meta iifname`, `ct state`. */
  of: string
  offset: number
  length: number
}

/** Bytes of a packet, as a rule looks at them. */
export type Part =
  | { source: Source; mask?: Uint8Array; xor?: Uint8Array; swap?: number }
  /** A constant, or padding. */
  | { bytes: Uint8Array }

/** An element of a set, by both its ends; equal ends are one value. */
export interface Range {
  from: Uint8Array
  to: Uint8Array
}

export type Test =
  /** The parts, one after the other, are among the values. */
  | { kind: 'among'; key: Part[]; values: Range[]; not: boolean }
  /** The same with a set that is to be looked up when it comes to that. */
  | { kind: 'lookup'; key: Part[]; set: string; not: boolean }
  /** Less than (`<`), and so on, in network byte order. */
  | { kind: 'order'; key: Part[]; operator: '<' | '<=' | '>' | '>='; value: Uint8Array }
  /**
   * What does not depend on the packet, such as a limit, which light traffic is below. `ofProcess`: nor on anything else,
   * unless a process of this host sends it, and then nobody knows.
   */
  | { kind: 'given'; holds: boolean; text: string; ofProcess?: true }
  /** What is not understood, or not known. */
  | { kind: 'open'; text: string }
  /** A list that is not looked into: it holds one end of the connection or not; somebody it does not hold. */
  | { kind: 'listed'; end: 'source' | 'destination'; not: boolean; text: string }
  | { kind: 'any'; of: Test[]; not: boolean }

export type Verdict =
  | { kind: 'accept' | 'continue' | 'return' }
  | { kind: 'drop'; text: string }
  | { kind: 'jump' | 'goto'; chain: string }
  /** The verdict of the element that the key is. */
  | { kind: 'map'; key: Part[]; set: string }

export interface Rule {
  tests: Test[]
  verdict: Verdict
  /** What it writes (`meta mark`): not known from there on. */
  writes?: string[]
  /** From 1 on, within its chain. */
  number: number
  comment?: string
}

/** Whose language a rule is told in. */
export type Dialect = 'nft' | 'iptables' | 'legacy'

export interface ChainName {
  dialect: Dialect
  /** `ip`, `ip6`, `inet`, `bridge` … */
  family: string
  table: string
  chain: string
}

/** Hooks in the order in which a packet that is forwarded meets them, and where one begins that is sent here. */
type RoutedHook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'

/** Below these: hooks of the family bridge; and of one interface, by its name (families netdev and inet). */
export type LinkHook = `bridge ${RoutedHook}` | `ingress ${string}` | `egress ${string}`

export type Hook = RoutedHook | LinkHook

export interface BaseChain extends ChainName {
  hook: Hook
  /** Lower comes first. */
  priority: number
  drops: boolean
}

/** An element of a map of verdicts. */
export interface MapEntry extends Range {
  verdict: Verdict
}

/** What a rule looks values up in. */
export interface SetView {
  /** It has a name, so there may be much in it. */
  isNamed: boolean
  all(): readonly (Range | MapEntry)[]
  /** The element that a key falls under. */
  find(key: Uint8Array): Range | MapEntry | undefined
}

/** Rules as they are kept somewhere, read when a packet comes to them. */
export interface Ruleset {
  /** Base chains of a hook that may say no to packets of a family, lowest priority first. */
  baseChains(hook: Hook, family: Family): BaseChain[]
  rules(chain: ChainName): Rule[]
  set(chain: ChainName, name: string): SetView
  /** False where no hook below the routed ones has a chain: absent, too. */
  hasLinkChains?(): boolean
}
