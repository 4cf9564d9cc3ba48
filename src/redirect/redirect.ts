/**
 * Clients on this host of a published loopback address, led to the container by the kernel: nobody is between.
 *
 *     client: connect 127.0.0.1:8080 ──▶ program on the root control group ──▶ connect 10.1.0.2:80
 *                                             │ targets: (namespace, address, port) → container
 *     client: getpeername ◀── 127.0.0.1:8080 ─┘ asked: what the socket had named
 *
 *     plan           which ports lead where, as values and as keys
 *     programs       what the kernel runs (bpf/ is how); conditions: what it leaves alone
 *     attach         as much of that as this kernel takes, on the root control group
 *     layout         the memory that both see
 *     connections    sockets that were redirected, found and ended
 *
 * TCP alone: a connected datagram socket would stay with an address that its container has given back. Nothing listens
 * here: the port is held, and whoever is left alone is served, by somebody else.
 *
 * Only sockets of the network namespace in which this began are redirected; its cookie is part of the key. So a
 * container's own 127.0.0.1 is its own. An entry is replaced in one step, and gone with `remove`: connections
 * that were made before go on, until they are ended. The programs go with this process, however it ends. What a socket
 * had named is known for as long as its memory's map is: a successor is given a copy of the map.
 *
 * Limits: the packets pass neither `lo` nor its rules. Linux 5.14 or later, CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN.
 * Without CAP_PERFMON and BTF, IPv6 sockets are not led to IPv4. Before Linux 5.19 sockets of MPTCP are not known, and
 * show the container as their peer. A socket that was led where there was no route at all, and connects to the container
 * itself later, shows whom it had asked for first.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import {
  BPF_F_NO_PREALLOC,
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_LPM_TRIE,
  BpfMap,
  createMap,
  createSocketStorage,
} from '../bpf/map.ts'
import type { Fd } from '../ffi/fd.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { cookieHere } from '../netns/cookie.ts'
import { currentNetns, inside, type Netns } from '../netns/netns.ts'
import { attachPrograms } from './attach.ts'
import { endConnections, isLedBy, redirectedBy, stillRedirected } from './connections.ts'
import { ASKED, COUNT_SIZE, KEY, TARGET } from './layout.ts'
import { keysOf, type RedirectPlan, targetValue } from './plan.ts'

/** Ranges at the same time; each has a count. */
const RANGES_MAX = 65_536
/** Elements are allocated as they come. */
const KEYS_MAX = 1 << 20
/** How often is looked whether those who may finish have. */
const DRAIN_LOOK_MS = 100
/** When is looked for those who were on their way as their entry went; no processor is kept from one for so long. */
const LATE_MS = 1000

/** Something that is redirected. */
interface Entry {
  plan: RedirectPlan
  slot: number
  /** In hexadecimal. */
  keys: Set<string>
}

export type { RedirectPlan } from './plan.ts'

export class Redirect implements Disposable {
  readonly #entries = new Map<string, Entry>()
  /** Who set a key last: whoever goes leaves what another has set since. */
  readonly #owners = new Map<string, string>()
  readonly #freeSlots: number[] = []
  #slots = 0
  readonly #home: Netns = currentNetns()
  readonly #cookie: bigint
  readonly #targets: BpfMap
  readonly #counts: BpfMap
  readonly #asked: BpfMap
  readonly #links: readonly Fd[]
  /** Sockets that have time, by what names them to the kernel. */
  readonly #mayFinish = new Set<bigint>()
  #isOver = false

  /**
   * Begins in the network namespace of the calling thread; nothing is redirected yet.
   * @param asked the map of a predecessor with the same ASKED_LAYOUT; its descriptor is ours from now on
   * @throws TsnetError `missing` where this host does not allow it, and why
   */
  constructor(asked?: number) {
    const made: BpfMap[] = []
    const keep = (map: BpfMap): BpfMap => {
      made.push(map)
      return map
    }
    try {
      this.#cookie = cookieHere()
      this.#asked = keep(
        asked === undefined ? createSocketStorage('tsnet_asked', ASKED.size) : new BpfMap(asked, ASKED.size),
      )
      this.#targets = keep(createMap('tsnet_targets', TARGETS))
      this.#counts = keep(createMap('tsnet_counts', COUNTS))
      this.#links = attachPrograms({
        targets: this.#targets.fd,
        counts: this.#counts.fd,
        asked: this.#asked.fd,
      })
    } catch (thrown) {
      for (const each of [...made, this.#home]) each[Symbol.dispose]()
      throw refusal(thrown)
    }
  }

  /** The map of what sockets asked for, for a successor to copy. */
  get asked(): number {
    return this.#asked.fd
  }

  /** Redirects, from now on and instead of what was redirected under this name. @throws SystemError */
  set(id: string, plan: RedirectPlan): void {
    const before = this.#entries.get(id)
    const slot = before?.slot ?? this.#takeSlot()
    const value = targetValue(plan, slot)
    // All that may be there, whatever fails: so that it can be removed.
    const keys = new Set(before?.keys)
    this.#entries.set(id, { plan, slot, keys })
    const left = new Set(keys)
    for (const key of keysOf(plan, this.#cookie)) {
      const name = Buffer.from(key).toString('hex')
      this.#targets.set(key, value)
      this.#owners.set(name, id)
      keys.add(name)
      left.delete(name)
    }
    for (const name of left) {
      this.#drop(id, name)
      keys.delete(name)
    }
  }

  /**
   * Redirects no more. What another has set since stays.
   * @returns what it was, for those who were redirected; undefined for an unknown id
   */
  remove(id: string): RedirectPlan | undefined {
    const entry = this.#entries.get(id)
    if (entry === undefined) return undefined
    this.#entries.delete(id)
    for (const name of entry.keys) this.#drop(id, name)
    this.#freeSlots.push(entry.slot)
    return entry.plan
  }

  #drop(id: string, name: string): void {
    if (this.#owners.get(name) !== id) return
    this.#owners.delete(name)
    this.#targets.delete(Buffer.from(name, 'hex'))
  }

  /** How many connections were begun to what is redirected under this name; undefined for an unknown id. */
  connections(id: string): number | undefined {
    const entry = this.#entries.get(id)
    const value = entry && this.#counts.get(slotKey(entry.slot))
    return value && Number(new DataView(value.buffer).getBigUint64(0, true))
  }

  /**
   * Ends the connections that a plan has, which is redirected no more. Who has not finished by then is cut off, unless
   * all of this is over before. Whoever comes later is not meant: the port may be published again meanwhile.
   * @throws NetlinkError `EOPNOTSUPP` where the kernel cannot; they live on
   */
  async end(plan: RedirectPlan, drainMs: number): Promise<void> {
    const until = performance.now() + drainMs
    let led = this.#isOver ? [] : inside(this.#home, () => redirectedBy(plan, this.#asked))
    const cookies = led.map(({ id }) => id.cookie)
    for (const cookie of cookies) this.#mayFinish.add(cookie)
    try {
      while (led.length > 0) {
        const left = until - performance.now()
        if (left <= 0) return inside(this.#home, () => endConnections(led))
        await sleep(Math.min(left, DRAIN_LOOK_MS))
        if (this.#isOver) return
        led = inside(this.#home, () => stillRedirected(led, plan, this.#asked))
      }
    } finally {
      for (const cookie of cookies) this.#mayFinish.delete(cookie)
    }
  }

  /**
   * Ends, a moment later, who was led by a plan that is gone and is in none of the lists that `end` looked through: between
   * the program and its first packet a socket stands in no list.
   * @throws as end
   */
  async endLate(plan: RedirectPlan): Promise<void> {
    await sleep(LATE_MS, undefined, { ref: false })
    if (this.#isOver) return
    const plans = [...this.#entries.values()].map(entry => entry.plan)
    inside(this.#home, () => {
      const late = redirectedBy(plan, this.#asked).filter(
        socket => !this.#mayFinish.has(socket.id.cookie) && !plans.some(each => isLedBy(each, socket)),
      )
      if (late.length > 0) endConnections(late)
    })
  }

  #takeSlot(): number {
    const slot = this.#freeSlots.pop() ?? this.#slots++
    if (slot >= RANGES_MAX) throw new TsnetError('exhausted', `${RANGES_MAX} ranges are redirected already`)
    this.#counts.set(slotKey(slot), new Uint8Array(COUNT_SIZE))
    return slot
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    for (const link of this.#links) link.close()
    for (const map of [this.#targets, this.#counts, this.#asked]) map[Symbol.dispose]()
    this.#home[Symbol.dispose]()
  }
}

const TARGETS = {
  type: BPF_MAP_TYPE_LPM_TRIE,
  keySize: KEY.size,
  valueSize: TARGET.size,
  maxEntries: KEYS_MAX,
  flags: BPF_F_NO_PREALLOC,
}
const COUNTS = { type: BPF_MAP_TYPE_ARRAY, keySize: 4, valueSize: COUNT_SIZE, maxEntries: RANGES_MAX }

function slotKey(slot: number): Uint8Array {
  const key = new Uint8Array(4)
  new DataView(key.buffer).setUint32(0, slot, true)
  return key
}

function refusal(cause: unknown): TsnetError {
  const why = hasCode(cause, 'EPERM')
    ? ': it takes CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN, and no program of others on the root control group that wants to be alone'
    : ''
  const details = cause instanceof TsnetError ? cause.details : undefined
  return new TsnetError(
    'missing',
    `the kernel does not let sockets be redirected: ${messageOf(cause)}${why}`,
    {
      cause,
      ...(details !== undefined && { details }),
    },
  )
}
