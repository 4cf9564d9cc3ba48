/**
 * Asks others, for a client.
 *
 *     whom     those of the client's network, or whom the host asks; never ourselves, nor the client. Whoever did not
 *              answer lately comes last
 *     how      by what the client asked by, from a socket of its own for each try: the kernel chooses its port, and a random
 *              number is its other secret
 *     what     the same question, printed anew; what comes back must repeat it, and be a message to the last byte
 *     when     one after the other, each for a while, in all for less than a client waits (glibc, musl: 5 s)
 *
 * A client's question that comes again while it is under way is dropped: the answer goes to the same place. So are those
 * that are too many, of one client or of all; a client that means it asks again.
 */

import type { Ip } from '../model/address/address.ts'
import type { Asker, Outcome } from './answer.ts'
import { passOn, printFailure } from './print.ts'
import { type Query, rcode } from './query.ts'
import { Quota } from './quota.ts'
import { flag, isSameQuestion, type Message, RCODE, readMessage } from './walk.ts'

export interface ForwardLimits {
  /** Of all clients, and of one. */
  most: number
  mostOfOne: number
  /** For one try, and how many there are. */
  tryMs: number
  tries: number
  /** How long whoever did not answer comes last. */
  restMs: number
  port: number
}

const usual: ForwardLimits = { most: 1024, mostOfOne: 256, tryMs: 1_500, tries: 3, restMs: 10_000, port: 53 }

/** What a server said, as bytes and as it was read. */
export interface Said {
  bytes: Uint8Array
  message: Message
}

export interface Try {
  server: Ip
  port: number
  withinMs: number
}

/** Asks one server once. @returns undefined where there was no answer in time */
export type Way = (query: Query, attempt: Try) => Promise<Said | undefined>

type Forward = Extract<Outcome, { kind: 'forward' }>

/** Answers of a server that another may have a better one for. */
const UNHELPFUL: readonly number[] = [rcode.servFail, rcode.notImp, rcode.refused, rcode.formErr]

/** What is seen to before a client has an answer, and the answer that it has then; undefined: none. */
export type Before = (asker: Asker, query: Query, said: Said) => Said | Promise<Said | undefined>

export class Forwarder {
  readonly #limits: ForwardLimits
  readonly #before: Before
  readonly #way: Way
  readonly #isOurs: (server: Ip) => boolean
  readonly #underWay = new Set<string>()
  readonly #quota: Quota
  readonly #silentUntil = new Map<Ip, number>()
  #hosts: readonly Ip[] = []

  /**
   * @param way by which servers are asked
   * @param isOurs true for an address that we answer on ourselves
   */
  constructor(
    way: Way,
    isOurs: (server: Ip) => boolean,
    limits: Partial<ForwardLimits> = {},
    before: Before = (_, __, said) => said,
  ) {
    this.#before = before
    this.#way = way
    this.#isOurs = isOurs
    this.#limits = { ...usual, ...limits }
    this.#quota = new Quota(this.#limits.most, this.#limits.mostOfOne)
  }

  /** Whom the host asks from now on. */
  set hosts(servers: readonly Ip[]) {
    this.#hosts = servers
    this.#silentUntil.clear()
  }

  /** How many are being asked. */
  get going(): number {
    return this.#quota.count
  }

  /** What the client is told; undefined: nothing. */
  async answer(forward: Forward, asker: Asker, by?: string): Promise<Uint8Array | undefined> {
    const found = await this.ask(forward, asker, by)
    return found === 'refused' ? undefined : (found ?? printFailure(forward.query, asker.carrier))
  }

  /** @returns the answer for the client; undefined: nobody had one; `refused`: it was not asked */
  async ask(
    { query, upstream }: Forward,
    asker: Asker,
    by?: string,
  ): Promise<Uint8Array | 'refused' | undefined> {
    const { ip, carrier } = asker
    const same = by && `${by} ${query.id} ${Buffer.from(query.questionBytes).toString('latin1')}`
    if ((same !== undefined && this.#underWay.has(same)) || !this.#quota.enter(ip)) return 'refused'
    if (same !== undefined) this.#underWay.add(same)
    try {
      const found = await this.#askAll(query, this.#order(upstream, ip))
      const said = found && (await this.#before(asker, query, found))
      return said && passOn(query, carrier, said.bytes, said.message)
    } finally {
      this.#quota.leave(ip)
      if (same !== undefined) this.#underWay.delete(same)
    }
  }

  #order(upstream: readonly Ip[], client: Ip): Ip[] {
    const now = performance.now()
    const usable = (upstream.length > 0 ? upstream : this.#hosts).filter(
      server => server !== client && !this.#isOurs(server),
    )
    const isSilent = (server: Ip): boolean => (this.#silentUntil.get(server) ?? 0) > now
    return [...usable.filter(server => !isSilent(server)), ...usable.filter(isSilent)]
  }

  async #askAll(query: Query, servers: readonly Ip[]): Promise<Said | undefined> {
    let unhelpful: Said | undefined
    const { tries, tryMs, port, restMs } = this.#limits
    for (let n = 0; n < tries; n++) {
      const server = servers[n % servers.length]
      if (server === undefined) return undefined
      const said = await this.#way(query, { server, port, withinMs: tryMs })
      if (said === undefined) this.#silentUntil.set(server, performance.now() + restMs)
      else if (!UNHELPFUL.includes(said.message.flags & RCODE)) return said
      else unhelpful = said
      // Whoever said that it does not know says so again.
      if (n + 1 >= servers.length && unhelpful !== undefined) return unhelpful
    }
    return unhelpful
  }
}

/** Undefined for what is no answer to this question. */
export function readAnswer(bytes: Uint8Array, query: Query, id: number): Said | undefined {
  const message = readMessage(bytes)
  if (message === undefined || message.id !== id || (message.flags & flag.response) === 0) return undefined
  const { start, end } = message.question
  return isSameQuestion(bytes.subarray(start, end), query.questionBytes) ? { bytes, message } : undefined
}
