/**
 * The networks of many hosts that this host's lists speak of, each held for as long as the daemon runs (hosts/presence.ts).
 *
 * Lists are looked at now and then, by their times. What it takes to be one of many hosts is loaded when a list speaks of
 * it for the first time, so that a host without such networks has nothing of it.
 */

import { readFileSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostTrouble } from '../../control/held-ports.ts'
import type { Away, AwayChange, HostRow, Losses, NameWord, Presence } from '../../hosts/hosts.ts'
import { messageOf, TsnetError } from '../../model/errors.ts'
import type { HostsNetwork } from '../../model/hosts/hosts.ts'
import { shown } from '../../model/json/shown.ts'
import { filesIn, hostOf, listNetworks } from '../../networks/networks.ts'
import { listTransits } from '../../records/transits.ts'

const LOOK_MS = 5_000

/** What containers of this host are called, by network and by the tag of their attachment. */
export type SaidByNetwork = ReadonlyMap<string, ReadonlyMap<string, NameWord>>

export class HostNetworks {
  readonly #log: (line: string) => void
  readonly #folder = hostOf(process.env).confDir
  readonly #hear: (network: string, changes: AwayChange[]) => void
  readonly #presences = new Map<string, Presence>()
  #said: SaidByNetwork = new Map()
  #seen: string | undefined
  #complaint: string | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #hasLooked = false
  #isOver = false
  #turn: Promise<unknown> = Promise.resolve()
  #losses: Losses | undefined

  /** @param hear of containers of other hosts */
  constructor(log: (line: string) => void, hear: (network: string, changes: AwayChange[]) => void) {
    this.#log = log
    this.#hear = hear
  }

  get isNeeded(): boolean {
    return this.#presences.size > 0
  }

  /** All hosts of all networks, and what is amiss between them. */
  list(): { hosts: HostRow[]; troubles: string[] } {
    const all = [...this.#presences.values()]
    return {
      hosts: all.flatMap(each => each.rows()),
      troubles: this.troubles().map(({ network, why }) => `network ${network}: ${why}`),
    }
  }

  /** What is amiss between the hosts of a network. */
  troubles(): HostTrouble[] {
    return [...this.#presences.values()].flatMap(({ network, troubles }) =>
      troubles.map(why => ({ network, why })),
    )
  }

  /** @throws TsnetError `invalid-environment` */
  of(network: string): Presence {
    const presence = this.#presences.get(network)
    if (presence !== undefined) return presence
    throw new TsnetError('invalid-environment', `${shown(network)} is no network of many hosts`)
  }

  /** Containers of other hosts that are called so, and whether these take no new connections. */
  *away(name: string): Iterable<{ network: string; away: Away; isDrained: boolean }> {
    for (const { network, names } of this.#presences.values())
      for (const away of names.named(name)) yield { network, away, isDrained: names.drained.has(away.host) }
  }

  /** Whether this host takes no new connections of services. */
  isDrained(network: string): boolean {
    return this.#presences.get(network)?.isDrained ?? false
  }

  /** False while it is not known yet who is on other hosts of a network. */
  isKnown(network: string): boolean {
    return this.#hasLooked && (this.#presences.get(network)?.names.isKnown ?? true)
  }

  /** What the other hosts shall know of this host's containers, and where that is something else now. Returns at once. */
  say(said: SaidByNetwork, changed: ReadonlySet<string>): void {
    this.#said = said
    for (const network of changed) {
      const presence = this.#presences.get(network)
      if (presence !== undefined) this.#sayOn(presence)
    }
  }

  #sayOn({ network, names }: Presence): void {
    names.say(this.#said.get(network) ?? new Map())
  }

  /** Begins and ends what lists speak of, and no more. */
  async tend(isSoon = false): Promise<void> {
    const now = performance.now()
    if (this.#isOver) return
    if (isSoon || now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now
      const seen = this.#signature()
      if (seen !== this.#seen) this.#turn = this.#turn.then(() => this.#compare())
      this.#seen = seen
    }
    // Not before it is known what lists say.
    if (this.#seen !== undefined) this.#turn = this.#turn.then(() => this.#letThrough())
    await this.#turn
    this.#hasLooked = true
  }

  /** Waits until this host is on all its networks, or could not be for so long. */
  async settled(withinMs: number): Promise<void> {
    await this.tend(true)
    await this.#turn
    const all = [...this.#presences.values()].map(({ settled }) => settled)
    if (all.length > 0) await Promise.race([Promise.all(all), sleep(withinMs, undefined, { ref: false })])
  }

  /** Rules of ours are gone, of whatever. */
  rulesLost(): void {
    this.#lost(new Set(['anything']))
  }

  #lost(losses: ReadonlySet<string>): void {
    for (const each of this.#presences.values()) each.lost(losses)
  }

  /** Hears of what others take away; where the kernel lets nobody hear, each minute's look finds it. */
  #hearLosses(of: typeof Losses): void {
    try {
      this.#losses ??= new of(losses => this.#lost(losses), this.#log)
    } catch (thrown) {
      this.#complain(`what others take away between hosts is noticed late: ${messageOf(thrown)}`)
    }
  }

  /** Nothing is taken back: packets need no daemon. */
  async end(): Promise<void> {
    this.#isOver = true
    await this.#turn
    await this.#losses?.[Symbol.asyncDispose]()
    await Promise.all([...this.#presences.values()].map(each => each.end()))
    this.#presences.clear()
  }

  /** What passes here for other hosts. What fails is tried again at the next look. */
  async #letThrough(): Promise<void> {
    const asked = [...this.#presences.values()].filter(({ passing }) => passing !== 'nothing')
    const networks = new Set([
      ...asked.map(({ network }) => network),
      ...listTransits().map(each => each.network),
    ])
    for (const network of networks) {
      const passing = this.#presences.get(network)?.passing ?? 'nothing'
      if (passing === 'unknown') continue
      try {
        const { letThrough } = await import('./transit.ts')
        await letThrough(network, passing === 'nothing' ? undefined : passing)
      } catch (thrown) {
        this.#complain(`network ${network}: ${messageOf(thrown)}`)
      }
    }
  }

  /** The same is not said again and again. */
  #complain(line: string): void {
    if (line !== this.#complaint) this.#log(line)
    this.#complaint = line
  }

  /** What changes when a list does; empty where none speaks of hosts. */
  #signature(): string {
    const files = filesIn(this.#folder).flatMap(file => {
      try {
        const { mtimeMs, size, ino } = statSync(file)
        return [`${file} ${mtimeMs} ${size} ${ino}`]
      } catch {
        return [] // gone since it was listed
      }
    })
    return files.join('\n')
  }

  async #compare(): Promise<void> {
    const wanted = await this.#wanted()
    for (const [name, presence] of this.#presences) {
      const options = wanted.get(name)
      if (JSON.stringify(options) === JSON.stringify(presence.options)) continue
      this.#presences.delete(name)
      if (options === undefined) await presence.leave()
      else await presence.end()
    }
    for (const [name, options] of wanted) {
      if (this.#presences.has(name) || this.#isOver) continue
      const { Losses, Presence } = await import('../../hosts/hosts.ts')
      this.#hearLosses(Losses)
      const watch = () => this.#losses?.watch([...this.#presences.values()].flatMap(({ links }) => links))
      const presence = new Presence(name, options, this.#log, changes => this.#hear(name, changes), watch)
      this.#presences.set(name, presence)
      this.#sayOn(presence)
      presence.begin()
    }
  }

  async #wanted(): Promise<Map<string, HostsNetwork>> {
    const wanted = new Map<string, HostsNetwork>()
    if (!filesIn(this.#folder).some(mentionsHosts)) return wanted
    const { readHostsOf } = await import('../../cni/config/hosts.ts')
    for (const { list } of listNetworks(this.#folder)) {
      const plugin = list.plugins.find(({ type, config }) => type === 'tsnet' && config.hosts !== undefined)
      if (plugin === undefined || wanted.has(list.name)) continue
      try {
        const options = readHostsOf(plugin.config)
        if (options !== undefined) wanted.set(list.name, options)
      } catch (thrown) {
        this.#log(`network ${list.name}: ${messageOf(thrown)}`)
      }
    }
    return wanted
  }
}

function mentionsHosts(file: string): boolean {
  try {
    return /"hosts"/i.test(readFileSync(file, 'utf8'))
  } catch {
    return false
  }
}
