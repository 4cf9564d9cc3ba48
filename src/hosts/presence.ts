/**
 * This host in one network of hosts: membership and carrier, held together for as long as a daemon runs.
 *
 *     etcd ──▶ Membership ──claimed──▶ file of the prefix (written.ts) ──▶ ADDs
 *                  │          └────────▶ Leading ──▶ the kernel
 *                  └─────────changed─────┘  └──▶ file of who is known (written.ts) ──▶ another boot
 *
 * A look compares: addresses of the underlay that changed are told to the others, and what the kernel lost comes back. It is
 * taken when the kernel tells of such a thing (losses.ts), and now and then (looking.ts). When the daemon ends, everything
 * stays: packets need no daemon.
 */

import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cidr } from '../model/address/address.ts'
import { messageOf } from '../model/errors.ts'
import { type HostsNetwork, prefixesOf } from '../model/hosts/hosts.ts'
import { currentBootId } from '../netns/alive.ts'
import { cookieHere } from '../netns/cookie.ts'
import { deviceName, linkAddress, mtuOver, type Underlay } from './carrier/carrier.ts'
import type { Claim } from './claim.ts'
import { isSelf, removeEgress } from './egress/egress.ts'
import { Etcd } from './etcd/etcd.ts'
import { bootClock, hostId, isBelieved } from './kept.ts'
import { emptyView, keysOf, type Layout } from './keys.ts'
import { Leading } from './leading.ts'
import { type HostDetails, type HostRow, rowsOf } from './listed.ts'
import { Looking } from './looking.ts'
import type { Loss } from './losses.ts'
import type { MembersChange } from './members.ts'
import { Membership } from './membership.ts'
import { type AwayChange, HostNames } from './names/names.ts'
import { nameKeysOf } from './names/words.ts'
import { type Asked, detailsOf, forgetHost, rowOf } from './other.ts'
import { Stranded } from './stranded.ts'
import { findUnderlay, Moving } from './underlay.ts'
import { Written } from './written.ts'

/** Between signs of life; less where hosts are given up sooner. */
const BEAT_MS = 5_000
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
  #leading: Leading | undefined
  #claim: Claim | undefined
  readonly #written: Written
  readonly #moving = new Moving()
  readonly #stranded: Stranded
  #settle: () => void = () => {}
  /** This host leads to all others, or need not be waited for: an ADD works. */
  readonly settled = new Promise<void>(resolve => {
    this.#settle = resolve
  })
  #trouble: string | undefined
  /** By which address etcd was reached when that was last asked. */
  #toEtcd: string | undefined
  readonly #looking: Looking

  /**
   * @param hear of containers of other hosts
   * @param looked is called after each look: `links` may be others
   */
  constructor(
    network: string,
    options: HostsNetwork,
    log: (line: string) => void,
    hear: (changes: AwayChange[]) => void,
    looked: () => void = () => {},
  ) {
    this.#looking = new Looking(
      {
        prepare: () => this.#reachEtcd(),
        look: () => {
          this.#do(() => this.#look())
          looked()
        },
        // What a look found amiss is so until the next one.
        glance: () => this.#trouble === undefined && this.#do(() => this.#glance()),
        isAmiss: () => this.#isElsewhere() || this.#leading?.isWhole === false,
        restMs: () => (this.#underlay === undefined ? RETRY_MS : undefined),
      },
      this.#ended.signal,
    )
    this.network = network
    this.options = options
    this.#id = hostId()
    this.#log = log
    this.#etcd = new Etcd(options.etcd)
    this.#written = new Written(network, options.pools)
    this.#stranded = new Stranded(network, options.pools)
    this.names = new HostNames({
      store: this.#etcd,
      keys: nameKeysOf(options.etcd.keys, network),
      id: this.#id,
      pools: options.pools,
      ttlS: Math.min(NAMES_KEPT_S, options.routesKeptS),
      changed: changes => {
        this.#written.names.changed()
        hear(changes)
      },
      log,
    })
  }

  /** What is amiss: sentences. */
  get troubles(): string[] {
    const found = [this.#membership?.state.trouble, this.#trouble, this.#stranded.trouble]
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
    rowOf(this.#asked, id)
    await this.names.drain(id, isDrained)
  }

  /** @throws TsnetError as `detailsOf` */
  details(id: string): Promise<HostDetails> {
    return detailsOf(this.#asked, id)
  }

  /** @throws TsnetError as `forgetHost` */
  forget(id: string, isDry = false): Promise<void> {
    return forgetHost(this.#asked, id, { silentMs: 3 * BEAT_MS, isDry })
  }

  get #asked(): Asked {
    const { network, options } = this
    const view = this.#membership?.view ?? emptyView('', 0)
    return { network, store: this.#etcd, keys: keysOf(options.etcd.keys, network), view, rows: this.rows() }
  }

  begin(): void {
    const { held } = this.#written
    if (held !== undefined && isBelieved(held)) this.#settle()
    this.names.begin()
    this.#running = this.#looking.run()
  }

  /** What the kernel and etcd hold stays. */
  async end(): Promise<void> {
    this.#ended.abort()
    await this.names.end()
    await this.#membership?.end()
    await this.#running
    this.#do(() => this.#writeKnown(true))
    this.#etcd[Symbol.dispose]()
    this.#settle()
  }

  /** The network is not on this host any more: others lead nothing here. Its prefix stays a while, should it come back. */
  async leave(): Promise<void> {
    this.#ended.abort()
    await this.names.leave()
    await this.#membership?.end()
    await this.#running
    this.#do(() => removeEgress(this.network))
    this.#do(() => this.#leading?.remove())
    this.#do(() => this.#written.forgetOthers())
    if (this.#claim !== undefined) await this.#etcd.revoke(this.#claim.word).catch(() => {})
    this.#etcd[Symbol.dispose]()
  }

  get #layout(): Layout {
    const { pools, carrier, port } = this.options
    return { pools, carrier, port }
  }

  /** Indices of the links of which this network wants to hear. */
  get links(): number[] {
    return this.#leading?.links ?? []
  }

  /** Others took something away. It comes back at once, but for what goes again and again. */
  lost(losses: ReadonlySet<Loss>): void {
    if (this.#leading?.misses(losses) !== false) this.#looking.due()
  }

  /** What others do not tell of, and is known here: hosts whose time is over, and who is to be written down. */
  #glance(): void {
    if (this.#underlay === undefined) return
    this.#membership?.look()
    this.#writeKnown()
    if (this.#claim !== undefined) this.#stranded.look(prefixesOf(this.options.pools, this.#claim.number))
  }

  /** So that it is known by which address it is reached. */
  async #reachEtcd(): Promise<void> {
    if (this.#underlay !== undefined || this.options.underlay !== undefined) return
    await this.#etcd.range(keysOf(this.options.etcd.keys, this.network).layout).catch(() => {})
  }

  #isElsewhere(): boolean {
    const before = this.#toEtcd
    this.#toEtcd = this.#etcd.localAddress
    return before !== this.#toEtcd
  }

  #look(): void {
    const own = this.options.pools.map(({ subnet }) => subnet)
    const toEtcd = this.#etcd.localAddress ?? this.#written.known?.address
    const found = findUnderlay(this.options.underlay, toEtcd, own)
    const before = this.#underlay
    if (before !== undefined && this.#moving.isUnderWay(before, found)) {
      this.#looking.due()
      this.#leading?.look({ ...found, addresses: before.addresses })
      return
    }
    this.#underlay = found
    if (before?.addresses.join() !== found.addresses.join()) this.#beginMembership(found)
    else this.#leading?.look(found)
    if (before !== undefined && before.mtu !== found.mtu) this.#writeDown()
  }

  #beginMembership(underlay: Underlay): void {
    const last = this.#membership
    const { options, network } = this
    const { held, known } = this.#written
    // What was written down is older than what is known since then.
    const remembered = last === undefined && held !== undefined && isBelieved(held) ? held : undefined
    const leading = new Leading(
      {
        network,
        id: this.#id,
        layout: this.#layout,
        members: () => next.members,
        made: () => this.#settle(),
        leaving: options.leaving,
        drained: () => this.names.drained,
        log: this.#log,
      },
      underlay,
    )
    this.#leading = leading
    const next = new Membership({
      store: this.#etcd,
      keys: keysOf(options.etcd.keys, this.network),
      self: {
        id: this.#id,
        layout: this.#layout,
        word: {
          name: hostname(),
          addresses: underlay.addresses,
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
      had: held?.number,
      known: remembered && known,
      changed: change => this.#do(() => this.#changed(change)),
      claimed: claim => this.#do(() => this.#claimed(claim)),
      log: this.#log,
    })
    this.#membership = next
    if (remembered !== undefined && known !== undefined) {
      this.#do(() => leading.remember(remembered.number))
      this.names.remember(known.members, this.#written.knownNames)
    }
    void (async () => {
      await last?.end()
      if (!this.#ended.signal.aborted && this.#membership === next) next.begin()
    })()
  }

  #claimed(claim: Claim | undefined): void {
    this.#claim = claim
    const prefixes = claim === undefined ? [] : prefixesOf(this.options.pools, claim.number)
    this.names.claimed(prefixes)
    if (claim === undefined) {
      this.#written.letGo()
      return
    }
    this.#writeDown()
    this.#leading?.claimed(claim.number)
  }

  #changed(change: MembersChange): void {
    this.#written.members.changed()
    this.names.members(this.#membership?.members ?? [])
    this.#leading?.changed(change)
  }

  /** Of the others, for another boot. */
  #writeKnown(isLast = false): void {
    const [membership, address] = [this.#membership, this.#underlay?.addresses[0]]
    if (membership === undefined || address === undefined) return
    const { members, view } = membership
    const { cluster, revision } = view
    this.#written.members.write(() => ({ cluster, revision, address, members }), isLast)
    // Who has not heard anything yet knows no better than what is written.
    if (this.names.isKnown) this.#written.names.write(() => this.names.known, isLast)
  }

  #writeDown(): void {
    const [claim, underlay] = [this.#claim, this.#underlay]
    if (claim === undefined || underlay === undefined) return
    this.#written.hold(claim, mtuOver(this.#layout, underlay))
  }

  /** What fails is tried again at the next look. */
  #do(work: () => void): void {
    try {
      work()
      this.#trouble = undefined
    } catch (thrown) {
      const trouble = messageOf(thrown)
      this.#looking.due()
      if (trouble !== this.#trouble) this.#log(`network ${this.network}: ${trouble}`)
      this.#trouble = trouble
    }
  }
}
