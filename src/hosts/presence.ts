/**
 * This host in one network of hosts: membership and carrier, held together for as long as a daemon runs.
 *
 *     etcd ──▶ Membership ──claimed──▶ file of the prefix (kept.ts), carrier made anew where the number is another
 *                  └─────────changed──▶ Carrier ──▶ the kernel
 *
 * A look, every few seconds, compares: addresses of the underlay that changed are told to the others, and what the kernel
 * lost comes back. When the daemon ends, everything stays: packets need no daemon.
 */

import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cidr } from '../model/address/address.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import { type HostsNetwork, prefixesOf } from '../model/hosts/hosts.ts'
import { shown } from '../model/json/shown.ts'
import { tellChange } from '../model/surroundings.ts'
import { currentBootId } from '../netns/alive.ts'
import { cookieHere } from '../netns/cookie.ts'
import { Carrier, deviceName, linkAddress, mtuOver, type Underlay } from './carrier/carrier.ts'
import type { Claim } from './claim.ts'
import { Egress, isSelf, removeEgress } from './egress/egress.ts'
import { Etcd } from './etcd/etcd.ts'
import { bootClock, forgetHeld, hostId, isSameCut, readHeld, writeHeld } from './kept.ts'
import { emptyView, keysOf, type Layout } from './keys.ts'
import { type HostDetails, type HostRow, rowsOf } from './listed.ts'
import type { MembersChange } from './members.ts'
import { Membership } from './membership.ts'
import { type AwayChange, HostNames } from './names/names.ts'
import { nameKeysOf } from './names/words.ts'
import { findUnderlay } from './underlay.ts'

/** Between signs of life; less where hosts are given up sooner. */
const BEAT_MS = 5_000
const LOOK_MS = 5_000
/** Until there is an address at which others reach this host. */
const RETRY_MS = 2_000
/** After the last word of a host its containers are found no more; its routes may stay longer. */
const NAMES_KEPT_S = 60

/** The interface by which packets of other hosts come, and the subnets that they are from. */
export interface Passing {
  bridge: string
  addresses: Cidr[]
}

export class Presence {
  readonly network: string
  readonly options: HostsNetwork
  readonly names: HostNames
  readonly #id: string
  readonly #log: (line: string) => void
  readonly #etcd: Etcd
  readonly #ended = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #underlay: Underlay | undefined
  #membership: Membership | undefined
  #carrier: { carrier: Carrier; egress: Egress | undefined; number: number } | undefined
  #claim: Claim | undefined
  /** The others are known. */
  #isRead = false
  #trouble: string | undefined

  /** @param hear of containers of other hosts */
  constructor(
    network: string,
    options: HostsNetwork,
    log: (line: string) => void,
    hear: (changes: AwayChange[]) => void,
  ) {
    this.network = network
    this.options = options
    this.#id = hostId()
    this.#log = log
    this.#etcd = new Etcd(options.etcd)
    this.names = new HostNames({
      store: this.#etcd,
      keys: nameKeysOf(options.etcd.keys, network),
      id: this.#id,
      pools: options.pools,
      ttlS: Math.min(NAMES_KEPT_S, options.routesKeptS),
      changed: hear,
      log,
    })
  }

  /** What is amiss: sentences. */
  get troubles(): string[] {
    const found = [this.#membership?.state.trouble, this.#trouble]
    return found.filter(trouble => trouble !== undefined)
  }

  /** What of others passes here into the world, where the network leaves by this host. */
  get passing(): Passing | 'nothing' | 'unknown' {
    const { leaving, carrier, pools } = this.options
    if (!leaving?.hosts.some(isSelf)) return 'nothing'
    if (this.#underlay === undefined) return 'unknown'
    const bridge = carrier === 'vxlan' ? deviceName(this.network) : this.#underlay.link
    return { bridge, addresses: pools.map(({ subnet }) => subnet) }
  }

  /** Whether this host takes no new connections of services. */
  get isDrained(): boolean {
    return this.names.drained.has(this.#id)
  }

  /** Every host of the network, as far as it is known. */
  rows(): HostRow[] {
    const self = { id: this.#id, name: hostname(), addresses: this.#underlay?.addresses ?? [] }
    const view = this.#membership?.view ?? emptyView('', 0)
    const { drained } = this.names
    return rowsOf(this.network, self, this.#layout, view, this.#membership?.state.members ?? []).map(each =>
      drained.has(each.id) ? { ...each, drained: true } : each,
    )
  }

  /** As HostNames.drain. @throws TsnetError `unknown-container`; `io`: etcd is away */
  async drain(id: string, isDrained: boolean): Promise<void> {
    this.#rowOf(id)
    await this.names.drain(id, isDrained)
  }

  /** @throws TsnetError `unknown-container`; `io`: etcd is away */
  async details(id: string): Promise<HostDetails> {
    const row = this.#rowOf(id)
    const lease = this.#membership?.view.hosts.get(id)?.lease
    const age = lease === undefined ? undefined : await this.#etcd.age(lease)
    return { ...row, ...(age !== undefined && age.ttlS > 0 && { lastWordS: age.grantedS - age.ttlS }) }
  }

  /**
   * Takes out what stands of another host.
   * @param isDry only finds out whether it could be
   * @throws TsnetError `unknown-container`; `conflict`: it lives, and would come back; `try-again`; `io`: etcd is away
   */
  async forget(id: string, isDry = false): Promise<void> {
    const { name, lastWordS } = await this.details(id)
    if (lastWordS !== undefined && lastWordS * 1_000 < 3 * BEAT_MS) {
      throw new TsnetError(
        'conflict',
        `host ${name} was heard of ${lastWordS} s ago: it lives, and would claim its prefix again`,
        {
          details: "end its daemon, or remove the network's list there, and try again",
        },
      )
    }
    if (isDry) return
    const keys = keysOf(this.options.etcd.keys, this.network)
    const view = this.#membership?.view ?? emptyView('', 0)
    const claims = [...view.claims].filter(([, { value }]) => value === id)
    const word = view.hosts.get(id)
    const gone = [
      ...claims.map(([number, { revision }]) => ({ key: keys.claim(number), revision })),
      ...(word === undefined ? [] : [{ key: keys.host(id), revision: word.revision }]),
    ]
    const done = await this.#etcd.transact(
      gone,
      gone.map(({ key }) => ({ kind: 'delete', key })),
    )
    if (done === undefined) throw new TsnetError('try-again', `host ${name} has just changed`)
    for (const { key } of gone) tellChange(() => `etcdctl del ${key}`)
    if (this.names.drained.has(id)) await this.names.drain(id, false)
  }

  #rowOf(id: string): HostRow {
    const found = this.rows().find(row => row.id === id)
    if (found === undefined)
      throw new TsnetError('unknown-container', `network ${this.network} has no host ${shown(id)}`)
    return found
  }

  begin(): void {
    this.names.begin()
    this.#running = this.#live()
  }

  /** What the kernel and etcd hold stays. */
  async end(): Promise<void> {
    this.#ended.abort()
    await this.names.end()
    await this.#membership?.end()
    await this.#running
    this.#etcd[Symbol.dispose]()
  }

  /** The network is not on this host any more: others lead nothing here. Its prefix stays a while, should it come back. */
  async leave(): Promise<void> {
    this.#ended.abort()
    await this.names.leave()
    await this.#membership?.end()
    await this.#running
    this.#do(() => removeEgress(this.network))
    this.#do(() => this.#carrier?.carrier.remove())
    if (this.#claim !== undefined) await this.#etcd.revoke(this.#claim.word).catch(() => {})
    this.#etcd[Symbol.dispose]()
  }

  get #layout(): Layout {
    const { pools, carrier, port } = this.options
    return { pools, carrier, port }
  }

  async #live(): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      if (this.#underlay === undefined && this.options.underlay === undefined) await this.#reachEtcd()
      if (signal.aborted) return
      this.#do(() => this.#look())
      await sleep(this.#underlay === undefined ? RETRY_MS : LOOK_MS, undefined, { signal }).catch(() => {})
    }
  }

  /** So that it is known by which address it is reached. */
  async #reachEtcd(): Promise<void> {
    await this.#etcd.range(keysOf(this.options.etcd.keys, this.network).layout).catch(() => {})
  }

  #look(): void {
    const own = this.options.pools.map(({ subnet }) => subnet)
    const found = findUnderlay(this.options.underlay, this.#etcd.localAddress, own)
    const before = this.#underlay
    this.#underlay = found
    if (before?.addresses.join() !== found.addresses.join()) this.#beginMembership(found)
    else {
      this.#carrier?.carrier.look(found)
      this.#leave()
    }
    this.#membership?.look()
    if (before !== undefined && before.mtu !== found.mtu) this.#writeDown()
  }

  #beginMembership({ addresses }: Underlay): void {
    const last = this.#membership
    const { options } = this
    this.#carrier = undefined
    this.#isRead = false
    this.#membership = new Membership({
      store: this.#etcd,
      keys: keysOf(options.etcd.keys, this.network),
      self: {
        id: this.#id,
        layout: this.#layout,
        word: {
          name: hostname(),
          addresses,
          mac: linkAddress(this.#id, this.network),
          instance: `${currentBootId()}/${cookieHere()}`,
        },
        routesKeptS: options.routesKeptS,
        prefixKeptS: options.prefixKeptS,
        beatMs: Math.min(BEAT_MS, (options.routesKeptS * 1_000) / 3),
      },
      clock: bootClock,
      pause: ms => sleep(ms),
      random: Math.random,
      had: this.#had(),
      changed: change => this.#do(() => this.#changed(change)),
      claimed: claim => this.#do(() => this.#claimed(claim)),
      log: this.#log,
    })
    const next = this.#membership
    void (async () => {
      await last?.end()
      if (!this.#ended.signal.aborted && this.#membership === next) next.begin()
    })()
  }

  /** The number that this host had when its daemon last ran. */
  #had(): number | undefined {
    const held = readHeld(this.network)
    return held !== undefined && isSameCut(held.pools, this.options.pools) ? held.number : undefined
  }

  #claimed(claim: Claim | undefined): void {
    this.#claim = claim
    this.names.claimed(claim === undefined ? [] : prefixesOf(this.options.pools, claim.number))
    if (claim === undefined) {
      forgetHeld(this.network)
      return
    }
    this.#writeDown()
    this.#carry()
  }

  #changed(change: MembersChange): void {
    this.#isRead = true
    this.names.members(this.#membership?.members ?? [])
    if (this.#carrier === undefined) this.#carry()
    else {
      const { carrier, egress } = this.#carrier
      carrier.change(change)
      egress?.follow(this.#membership?.members ?? [], this.names.drained, carrier.link)
    }
  }

  /** Not before all is known: what an earlier daemon left would be taken away and made again. */
  #carry(): void {
    const [claim, membership, underlay] = [this.#claim, this.#membership, this.#underlay]
    if (claim === undefined || membership === undefined || underlay === undefined || !this.#isRead) return
    if (this.#carrier?.number === claim.number) return
    const place = {
      network: this.network,
      layout: this.#layout,
      number: claim.number,
      mac: linkAddress(this.#id, this.network),
    }
    const carrier = new Carrier(place, underlay, membership.members, this.#log)
    const { leaving } = this.options
    const egress = leaving && new Egress(place, leaving, this.#log)
    // A list may have said otherwise before.
    if (egress === undefined) removeEgress(this.network)
    this.#carrier = { carrier, egress, number: claim.number }
    carrier.look()
    this.#leave()
  }

  /** How the network leaves this host, as it should be now. */
  #leave(): void {
    if (this.#carrier === undefined) return
    const { carrier, egress } = this.#carrier
    egress?.look(this.#membership?.members ?? [], this.names.drained, carrier.link)
  }

  #writeDown(): void {
    const [claim, underlay] = [this.#claim, this.#underlay]
    if (claim === undefined || underlay === undefined) return
    const { number, until } = claim
    writeHeld(this.network, {
      number,
      until,
      pools: this.options.pools,
      mtu: mtuOver(this.#layout, underlay),
    })
  }

  /** What fails is tried again at the next look. */
  #do(work: () => void): void {
    try {
      work()
      this.#trouble = undefined
    } catch (thrown) {
      const trouble = messageOf(thrown)
      if (trouble !== this.#trouble) this.#log(`network ${this.network}: ${trouble}`)
      this.#trouble = trouble
    }
  }
}
