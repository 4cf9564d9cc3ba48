/** A table of legacy iptables, from the kernel's bytes to chains of rules. */

import type { Family } from '../../model/address/address.ts'
import { MalformedError } from '../../netlink/codecs.ts'
import { word } from '../bits.ts'
import type { Part, Rule, Test, Verdict } from '../rule.ts'
import { commentOf, type Extension, readMatch } from './match.ts'
import { readTarget } from './target.ts'

/** Where the fields of struct ipt_entry and struct ip6t_entry are. */
interface Layout {
  address: number
  /** Of input and output, and of their masks behind both. */
  names: number
  protocol: number
  flags: number
  inverse: number
  targetOffset: number
  matches: number
}

const LAYOUTS: Record<Family, Layout> = {
  4: { address: 4, names: 16, protocol: 80, flags: 82, inverse: 83, targetOffset: 88, matches: 112 },
  6: { address: 16, names: 64, protocol: 128, flags: 131, inverse: 132, targetOffset: 140, matches: 168 },
}

const INVERSE = { input: 1, output: 2, source: 8, destination: 0x10, fragment: 0x20, protocol: 0x40 }
const FLAG_FRAGMENT = 1
const FLAG_GOTO: Record<Family, number> = { 4: 2, 6: 4 }
const IFNAMSIZ = 16
/** struct xt_entry_match: size, name, revision. */
const EXTENSION = 32
const NAME_AT = 2
const REVISION_AT = 31

/** What a verdict below zero means: -verdict - 1 is NF_DROP, NF_ACCEPT, and -5 is back to where it came from. */
const XT_RETURN = -5

/** NF_INET_*. */
const BUILT_IN = ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING']

interface Entry {
  at: number
  tests: Test[]
  comment: string | undefined
  target: Extension
  isGoto: boolean
}

/** What the kernel says of a table, and its entries. */
export interface TableBlock {
  /** Of each hook, where its chain begins and where its policy stands. */
  hooks: { number: number; start: number; policy: number }[]
  entries: Uint8Array
}

export interface Table {
  chains: Map<string, Rule[]>
  policies: { number: number; chain: string; drops: boolean }[]
}

/** @throws MalformedError */
export function readTable({ hooks, entries: bytes }: TableBlock, family: Family): Table {
  const entries = [...eachEntry(bytes, family)]
  const starts = new Map<number, string>()
  for (const { number, start } of hooks) starts.set(start, BUILT_IN[number] ?? '')
  entries.forEach(({ target }, i) => {
    const first = entries[i + 1]
    // A chain begins with a target that nothing reaches and that names it.
    if (target.name === 'ERROR' && first !== undefined) starts.set(first.at, textIn(target.info))
  })
  const chains = new Map<string, Rule[]>()
  let rules: Rule[] = []
  const policies = new Map(hooks.map(hook => [hook.policy, hook]))
  const found: Table['policies'] = []
  for (const entry of entries) {
    const name = starts.get(entry.at)
    if (name !== undefined) {
      rules = []
      chains.set(name, rules)
    }
    const policy = policies.get(entry.at)
    if (entry.target.name === 'ERROR') continue
    const rule = ruleOf(entry, rules.length + 1, starts, family)
    if (policy === undefined) rules.push(rule)
    else {
      const chain = BUILT_IN[policy.number] ?? ''
      found.push({ number: policy.number, chain, drops: rule.verdict.kind === 'drop' })
    }
  }
  return { chains, policies: found }
}

/** What bytes an entry takes, from where it begins. */
function* eachExtent(bytes: Uint8Array, family: Family): Generator<{ at: number; next: number }> {
  const layout = LAYOUTS[family]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length; ) {
    if (at + layout.matches > bytes.length) throw new MalformedError('an entry of iptables is cut short')
    const next = at + view.getUint16(at + layout.targetOffset + 2, true)
    if (next <= at || next > bytes.length) throw new MalformedError('an entry of iptables does not fit')
    yield { at, next }
    at = next
  }
}

/** struct xt_counters: packets and bytes, which stand before the matches. */
const COUNTERS = 16

const OFFSET_BASIS = 0x811c9dc5
const PRIME = 0x01000193

/**
 * What becomes another number where an entry is another, or in another place; what the kernel has counted is no part of
 * it. FNV-1a, of words of four bytes: whoever wants to deceive it is root.
 * @throws MalformedError
 */
export function contentMark(bytes: Uint8Array, family: Family): number {
  const { buffer, byteOffset, length } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  const words = new Uint32Array(buffer, byteOffset, length >> 2)
  const counters = LAYOUTS[family].matches - COUNTERS
  let mark = OFFSET_BASIS
  const take = (from: number, to: number): void => {
    for (let i = from >> 2; i < to >> 2; i++) mark = Math.imul(mark ^ (words[i] ?? 0), PRIME)
  }
  for (const { at, next } of eachExtent(bytes, family)) {
    take(at, at + counters)
    take(at + counters + COUNTERS, next)
  }
  return mark >>> 0
}

function* eachEntry(bytes: Uint8Array, family: Family): Generator<Entry> {
  const layout = LAYOUTS[family]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (const { at, next } of eachExtent(bytes, family)) {
    const targetAt = at + view.getUint16(at + layout.targetOffset, true)
    if (targetAt + EXTENSION > next) throw new MalformedError('an entry of iptables does not fit')
    const matches = [...eachExtension(bytes.subarray(at + layout.matches, targetAt))]
    const target = [...eachExtension(bytes.subarray(targetAt, next))][0]
    if (target === undefined) throw new MalformedError('an entry of iptables has no target')
    yield {
      at,
      tests: [
        ...headerTests(bytes.subarray(at, at + layout.matches), layout, family),
        ...matches.flatMap(match => readMatch(match, family)),
      ],
      comment: matches.map(commentOf).find(text => text !== undefined),
      target,
      isGoto: ((bytes[at + layout.flags] ?? 0) & FLAG_GOTO[family]) !== 0,
    }
  }
}

function* eachExtension(bytes: Uint8Array): Generator<Extension> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + EXTENSION <= bytes.length; ) {
    const size = view.getUint16(at, true)
    if (size < EXTENSION || at + size > bytes.length) throw new MalformedError('an extension does not fit')
    yield {
      name: textIn(bytes.subarray(at + NAME_AT, at + REVISION_AT)),
      revision: bytes[at + REVISION_AT] ?? 0,
      info: bytes.subarray(at + EXTENSION, at + size),
    }
    at += size
  }
}

const textIn = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8').split('\0', 1)[0] ?? ''

/** Addresses, interfaces and protocol, in the order in which iptables prints them. */
function headerTests(entry: Uint8Array, layout: Layout, family: Family): Test[] {
  const { address, names } = layout
  const inverse = entry[layout.inverse] ?? 0
  const isZero = (bytes: Uint8Array): boolean => bytes.every(byte => byte === 0)
  const masked = (of: string, at: number, maskAt: number, length: number, bit: number): Test[] => {
    const mask = entry.subarray(maskAt, maskAt + length)
    if (isZero(mask)) return []
    // Of an interface such as `br+` the sign stands behind the mask.
    const value = entry.slice(at, at + length).map((byte, i) => byte & (mask[i] ?? 0))
    const key: Part[] = [{ source: { of, offset: 0, length }, mask }]
    return [{ kind: 'among', key, values: [{ from: value, to: value }], not: (inverse & bit) !== 0 }]
  }
  const protocol = entry[layout.protocol] ?? 0
  const value = word(protocol, 1)
  const isFragment = family === 4 && ((entry[layout.flags] ?? 0) & FLAG_FRAGMENT) !== 0
  const [source, destination] = family === 4 ? [12, 16] : [8, 24]
  const addressTest = (offset: number, at: number, bit: number): Test[] =>
    masked('network', at, at + 2 * address, address, bit).map(test =>
      test.kind === 'among' ? { ...test, key: [moved(test.key[0], offset)] } : test,
    )
  return [
    ...addressTest(source, 0, INVERSE.source),
    ...addressTest(destination, address, INVERSE.destination),
    ...masked('meta iifname', names, names + 2 * IFNAMSIZ, IFNAMSIZ, INVERSE.input),
    ...masked('meta oifname', names + IFNAMSIZ, names + 3 * IFNAMSIZ, IFNAMSIZ, INVERSE.output),
    ...(protocol === 0
      ? []
      : [
          {
            kind: 'among' as const,
            key: [{ source: { of: 'meta l4proto', offset: 0, length: 1 } }],
            values: [{ from: value, to: value }],
            not: (inverse & INVERSE.protocol) !== 0,
          },
        ]),
    ...(isFragment
      ? [{ kind: 'given' as const, holds: (inverse & INVERSE.fragment) !== 0, text: '-f' }]
      : []),
  ]
}

const moved = (part: Part | undefined, offset: number): Part =>
  part !== undefined && 'source' in part
    ? { ...part, source: { ...part.source, offset } }
    : { bytes: new Uint8Array(0) }

function ruleOf(entry: Entry, number: number, starts: ReadonlyMap<number, string>, family: Family): Rule {
  const { tests, comment, target, isGoto } = entry
  const named = target.name === '' ? undefined : readTarget(target, family)
  const verdict = named?.verdict ?? standardVerdict(target.info, entry, isGoto, starts)
  return {
    tests,
    verdict,
    number,
    ...(named?.writes && { writes: named.writes }),
    ...(comment !== undefined && { comment }),
  }
}

function standardVerdict(
  info: Uint8Array,
  { at }: Entry,
  isGoto: boolean,
  starts: ReadonlyMap<number, string>,
): Verdict {
  if (info.length < 4) throw new MalformedError(`the target at ${at} is cut short`)
  const verdict = new DataView(info.buffer, info.byteOffset).getInt32(0, true)
  if (verdict >= 0) {
    const chain = starts.get(verdict)
    // A rule without a target goes on to the next.
    return chain === undefined ? { kind: 'continue' } : { kind: isGoto ? 'goto' : 'jump', chain }
  }
  if (verdict === XT_RETURN) return { kind: 'return' }
  return verdict === -1 ? { kind: 'drop', text: 'DROP' } : { kind: 'accept' }
}
