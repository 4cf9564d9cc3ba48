/**
 * The way of a packet through the chains of its hooks.
 *
 *     hook ─▶ base chains by priority ─▶ rules in order ─▶ jumps, and back
 *
 * An accept ends its base chain and no more: the next one may drop. A drop is the end. Where it is not known
 * whether a rule matches, both ways are gone: so what comes out is all that can happen.
 */

import { type Bits, join, KNOWN } from './bits.ts'
import type { Packet } from './packet.ts'
import type { BaseChain, ChainName, MapEntry, Rule, Ruleset, SetView, Verdict } from './rule.ts'
import { keyOf, matches, within } from './tests.ts'

/** What drops a packet: a rule, or what a base chain does in the end. */
export interface Place extends ChainName {
  /** Absent: the policy. */
  rule?: Rule
}

/** All that can become of a packet. */
export interface Fate {
  /** It may come through. */
  passes: boolean
  /** What may drop it: where it may pass the first, else at the end what lets nothing pass. */
  drops: Place[]
}

/** The first and the last are kept. */
function note(drops: Place[], more: readonly Place[]): void {
  for (const place of more) drops[Math.min(drops.length, 1)] = place
}

/** What is ours in the chains of others. */
export interface Own {
  /** What a jump to one of our chains comes to; undefined: it is not ours. */
  jump?(base: BaseChain, chain: string): 'accept' | 'pass' | undefined
  /** Before everything that a base chain holds, or after that, we accept it. */
  accepts?(base: BaseChain): 'first' | 'last' | undefined
  /** A rule of ours in a chain of others. */
  isOurs?(rule: Rule): boolean
}

/** What can happen in a chain. */
interface Outcome {
  accept: boolean
  /** The end of the chain is reached. */
  through: boolean
  drops: Place[]
}

/** More rules than this are gone through by no packet; who has more is not judged. */
const RULES_MAX = 50_000
const DEPTH_MAX = 64

/** A packet of its own for each base chain: what it holds depends on where the chain stands, and rules write to it. */
export type Arriving = (chain: BaseChain) => Packet

export function walk(
  ruleset: Ruleset,
  chains: readonly BaseChain[],
  arriving: Arriving,
  own: Own = {},
): Fate {
  const drops: Place[] = []
  for (const chain of chains) {
    const fate = new Walk(ruleset, chain, arriving(chain), own).fate()
    note(drops, fate.drops)
    if (!fate.passes) return { passes: false, drops }
  }
  return { passes: true, drops }
}

class Walk {
  readonly #ruleset: Ruleset
  readonly #base: BaseChain
  readonly #own: Own
  readonly #packet: Packet
  /** What rules have written: not known any more. */
  #written = ''
  readonly #outcomes = new Map<string, Outcome>()
  #rules = 0

  constructor(ruleset: Ruleset, base: BaseChain, packet: Packet, own: Own) {
    this.#ruleset = ruleset
    this.#base = base
    this.#packet = packet
    this.#own = own
  }

  fate(): Fate {
    const base = this.#base
    const accepted = this.#own.accepts?.(base)
    if (accepted === 'first') return { passes: true, drops: [] }
    const { accept, through, drops } = this.#chain(base, 0)
    const dropped = through && base.drops && accepted === undefined
    const { dialect, family, table, chain } = base
    return {
      passes: accept || (through && !dropped),
      drops: dropped ? [...drops, { dialect, family, table, chain }] : drops,
    }
  }

  /** Each chain is gone through once, however many lead there, as long as nothing was written between. */
  #chain(name: ChainName, depth: number): Outcome {
    const key = `${name.chain}\0${this.#written}`
    const earlier = this.#outcomes.get(key)
    if (earlier !== undefined) return earlier
    const outcome: Outcome =
      depth > DEPTH_MAX ? { accept: false, through: true, drops: [] } : this.#through(name, depth)
    this.#outcomes.set(key, outcome)
    return outcome
  }

  #through(name: ChainName, depth: number): Outcome {
    const outcome: Outcome = { accept: false, through: false, drops: [] }
    for (const rule of this.#ruleset.rules(name)) {
      if (++this.#rules > RULES_MAX) break
      const answer = matches(rule, this.#packet, set => this.#ruleset.set(name, set))
      if (answer === 'no' || this.#own.isOurs?.(rule)) continue
      for (const value of rule.writes ?? []) this.#forget(value)
      const goesOn = this.#verdict(rule, rule.verdict, name, depth, outcome)
      if (!goesOn && answer === 'yes') return outcome
    }
    outcome.through = true
    return outcome
  }

  #forget(value: string): void {
    if (this.#packet.forget(value)) this.#written += `${value} `
  }

  /** @returns whether the next rule may be reached */
  #verdict(rule: Rule, verdict: Verdict, name: ChainName, depth: number, outcome: Outcome): boolean {
    switch (verdict.kind) {
      case 'continue':
        return true
      case 'accept':
        outcome.accept = true
        return false
      case 'return':
        outcome.through = true
        return false
      case 'drop': {
        const { dialect, family, table, chain } = name
        note(outcome.drops, [{ dialect, family, table, chain, rule }])
        return false
      }
      case 'jump':
      case 'goto':
        return this.#jump(verdict, name, depth, outcome)
      case 'map':
        return this.#map(rule, verdict, name, depth, outcome)
    }
  }

  #jump(
    { kind, chain }: { kind: 'jump' | 'goto'; chain: string },
    name: ChainName,
    depth: number,
    outcome: Outcome,
  ): boolean {
    const own = this.#own.jump?.(this.#base, chain)
    if (own === 'accept') outcome.accept = true
    if (own !== undefined) return own === 'pass'
    const { accept, through, drops } = this.#chain({ ...name, chain }, depth + 1)
    outcome.accept ||= accept
    note(outcome.drops, drops)
    // Who goes to a chain comes back to where the last jump was.
    if (kind === 'goto' && through) outcome.through = true
    return kind === 'jump' && through
  }

  #map(
    rule: Rule,
    verdict: Verdict & { kind: 'map' },
    name: ChainName,
    depth: number,
    outcome: Outcome,
  ): boolean {
    const key = keyOf(verdict.key, this.#packet)
    const { entries, isSure } = candidates(this.#ruleset.set(name, verdict.set), key)
    let goesOn = !isSure
    for (const { verdict } of entries) {
      if (this.#verdict(rule, verdict, name, depth, outcome)) goesOn = true
    }
    return goesOn
  }
}

/** The elements of a map of verdicts that a key may fall under; sure is one alone. */
function candidates(set: SetView, key: readonly Bits[]): { entries: MapEntry[]; isSure: boolean } {
  if (key.every(({ doubt }) => doubt.every(each => each === KNOWN))) {
    const found = set.find(join(key).bytes)
    return found !== undefined && 'verdict' in found
      ? { entries: [found], isSure: true }
      : { entries: [], isSure: false }
  }
  const entries: MapEntry[] = []
  for (const entry of set.all()) {
    const answer = within(key, entry)
    if (answer === 'no' || !('verdict' in entry)) continue
    if (answer === 'yes') return { entries: [entry], isSure: true }
    entries.push(entry)
  }
  return { entries, isSure: false }
}
