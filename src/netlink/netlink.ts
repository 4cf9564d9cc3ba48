/**
 * Conversations with the kernel over netlink.
 *
 * Three floors, each usable and tested alone:
 *
 *     bytes          codecs, attributes, message, tables, writer              tables ⇄ bytes
 *     conversation   socket, this file                                        send, receive, check, retry
 *     objects        link/, address, route, neighbour, qdisc/, sock-diag      one function = one conversation =
 *                                                                             plain value
 *
 * Nearly everything is synchronous: the kernel answers a request while it is being sent. Over the deletion of
 * links it waits, so that can be sent by another thread (link/delete.ts). A socket belongs to the namespace
 * it was opened in and may be used from anywhere; a daemon keeps them (warm-sockets.ts).
 *
 * A conversation asks for extended acknowledgements (the kernel's own words become part of the error) and
 * for strict checking (a filter the kernel does not know is an error, not ignored). A dump that the kernel
 * marks as interrupted (NLM_F_DUMP_INTR) or that overran the socket (ENOBUFS) is asked for again, so what
 * comes back is one consistent picture. Answers to other sequence numbers are left-overs and are dropped;
 * datagrams of others than the kernel do not arrive (test/netns/conversation.ts).
 *
 * Every request carries the `ip` or `tc` command that would do the same; it names the operation in errors
 * and is what `--verbose` prints.
 */

import { constants } from 'node:os'
import { errnoName, errnoText } from '../ffi/ffi.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import { tellChange } from '../model/surroundings.ts'
import { inodeHere } from '../netns/netns.ts'
import { concatenate } from './codecs.ts'
import * as k from './constants.ts'
import {
  eachMessage,
  encodeMessage,
  type Message,
  numberMessages,
  readVerdict,
  type Verdict,
} from './message.ts'
import { RECEIVE_TIMEOUT_S, type Transport } from './socket.ts'
import { takeSocket } from './warm-sockets.ts'

export interface Request {
  /** The command line that does the same: `ip link set dev web up`. A function where only few get to read it. */
  equivalent: string | (() => string)
  type: number
  /** Beside NLM_F_REQUEST and what the method adds. */
  flags?: number
  /** The family's header and attributes, encoded. */
  payload: readonly Uint8Array[]
}

/** The kernel refused a request. `code` is errno's name. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  readonly operation: string
  readonly errno: number
  readonly code: string

  constructor(operation: string, verdict: Verdict) {
    const code = errnoName(verdict.errno)
    super(`${operation}: ${verdict.text ? `${verdict.text} (${code})` : errnoText(verdict.errno)}`)
    this.operation = operation
    this.errno = verdict.errno
    this.code = code
  }
}

/** What the kernel says against one of several messages. */
export interface Refusal extends Verdict {
  /** Which one, from 0 on. */
  index: number
}

const wordsOf = ({ equivalent }: Pick<Request, 'equivalent'>): string =>
  typeof equivalent === 'string' ? equivalent : equivalent()

/** How often an interrupted dump is asked for again before giving up. */
const DUMP_ATTEMPTS = 20

/** One datagram of many changes: what the kernel may have to say against each fits into a socket's buffer. */
const BATCH_BYTES = 16 * 1024
const BATCH_MESSAGES = 100

/** How the kernel's answer ended. */
type Outcome =
  /** Everything arrived. */
  | 'whole'
  /** It came to its end, but what it lists changed meanwhile, or part of it was lost. */
  | 'holed'
  /** The end itself was lost. */
  | 'lost'
  /** The kernel says that it has no such thing. */
  | 'absent'

/** Gets each object of an answer. @returns true where nothing more is to come */
type Take = (message: Message) => boolean

const passOver: Take = () => false

export class Netlink implements Disposable {
  readonly #transport: Transport
  readonly #trace: ((equivalent: string) => void) | undefined
  #sequence: number
  #over = false
  /** Requests of which the end of the answer was not heard: something of it may still be in the socket. */
  #open = 0

  /** @param trace hears the equivalent command of every change */
  constructor(transport: Transport, trace?: (equivalent: string) => void) {
    this.#transport = transport
    this.#trace = trace
    this.#sequence = transport.sequence ?? 0
  }

  /** The inode of the network namespace it speaks with. */
  get namespace(): number {
    return this.#transport.namespace?.() ?? 0
  }

  /** By which the kernel knows its socket; 0 where there is none. */
  get port(): number {
    return this.#transport.port?.() ?? 0
  }

  /**
   * Asks for a change and waits for the acknowledgement.
   * @throws NetlinkError; `ENOBUFS` when the kernel had no memory for its answer: the change may be made
   */
  change(request: Request): void {
    this.#tell(request)
    this.#ask(request, k.NLM_F_ACK)
  }

  /**
   * As change, for a request over which the kernel waits for long: this thread goes on meanwhile. Nothing else
   * may be asked before it is done.
   */
  async changeAside(request: Request): Promise<void> {
    this.#tell(request)
    const datagram = this.#encode(request, k.NLM_F_ACK)
    if (this.#transport.sendAside === undefined) this.#transport.send(datagram)
    else await this.#transport.sendAside(datagram)
    this.#conclude(request)
  }

  /** Asks for one object. @throws NetlinkError, such as `ENODEV` */
  get(request: Request): Message {
    const reply = this.find(request)
    if (reply === undefined) throw failure(request, 'ENODATA')
    return reply
  }

  /**
   * Asks for one object that need not be there. Most calls ask for some that are not, and an error takes longer
   * to make than the kernel to answer.
   * @param absent what the kernel says then
   * @throws NetlinkError
   */
  find(request: Request, absent?: keyof typeof constants.errno): Message | undefined {
    let reply: Message | undefined
    const take = (message: Message): boolean => {
      reply = { ...message, payload: message.payload.slice() }
      return true
    }
    // The object itself says that it is found: an acknowledgement would be one more datagram to read.
    const isThere = this.#ask(request, 0, take, absent && constants.errno[absent])
    if (isThere && reply === undefined) throw failure(request, 'ENODATA')
    return reply
  }

  /** Asks for all objects, as one consistent picture. @throws NetlinkError */
  dump(request: Request): Message[] {
    for (let attempt = 1; attempt <= DUMP_ATTEMPTS; attempt++) {
      const replies: Message[] = []
      this.#send(request, k.NLM_F_DUMP)
      const outcome = this.#hear(request, message => {
        replies.push({ ...message, payload: message.payload.slice() })
        return false
      })
      if (outcome === 'whole') return replies
    }
    throw failure(request, 'EINTR', `the list changed while it was read, ${DUMP_ATTEMPTS} times in a row`)
  }

  /**
   * Sends messages of which the kernel does all or none. It is done with them when they are sent, and answers
   * only what it refuses: so nothing is waited for.
   * @param datagram the messages, one after the other; they are numbered here
   * @param hear gets what else the kernel says of them, where one asks for that
   * @returns what was refused, in order; nothing where all is done
   * @throws NetlinkError `ENOBUFS` when a refusal was lost, SystemError when nothing was sent
   */
  transact(equivalent: string, datagram: Uint8Array, hear: (message: Message) => void = () => {}): Refusal[] {
    this.#trace?.(equivalent)
    const { refusals, isLost } = this.#sendAll(datagram, hear)
    if (isLost && refusals.length === 0) throw lost({ equivalent })
    return refusals
  }

  /** Sends messages, and reads what the kernel has against some of them. */
  #sendAll(
    datagram: Uint8Array,
    hear: (message: Message) => void = () => {},
  ): { refusals: Refusal[]; isLost: boolean } {
    const first = (this.#sequence + 1) >>> 0
    const count = numberMessages(datagram, first)
    this.#sequence = (this.#sequence + count) >>> 0
    this.#transport.send(datagram)
    const refusals: Refusal[] = []
    let isLost = false
    for (;;) {
      try {
        const datagram = this.#transport.poll()
        if (datagram === undefined) break
        for (const message of eachMessage(datagram)) {
          const index = (message.sequence - first) >>> 0
          if (index >= count) continue
          const verdict = message.type === k.NLMSG_ERROR ? readVerdict(message) : undefined
          if (verdict === undefined) hear(message)
          else if (verdict.errno !== 0) refusals.push({ ...verdict, index })
        }
      } catch (thrown) {
        if (!hasCode(thrown, 'ENOBUFS')) throw thrown
        isLost = true
      }
    }
    return { refusals, isLost }
  }

  /**
   * Asks for many changes, of which each is made or refused by itself: as many as one datagram holds are sent
   * at once, in their order, and nobody waits for what is made.
   * @returns what was refused, in order; `index` counts the requests
   * @throws NetlinkError `ENOBUFS` when a refusal was lost: what is there has to be looked at
   */
  changeEach(requests: readonly Request[]): Refusal[] {
    const refusals: Refusal[] = []
    for (let from = 0; from < requests.length; ) {
      const messages: Uint8Array[] = []
      for (let size = 0; from + messages.length < requests.length; ) {
        const request = requests[from + messages.length] as Request
        const { type, flags = 0, payload } = request
        const whole = { type, flags: k.NLM_F_REQUEST | flags, sequence: 0, port: 0 }
        const message = padded(encodeMessage({ ...whole, payload: concatenate(payload) }))
        size += message.length
        if (messages.length > 0 && (size > BATCH_BYTES || messages.length === BATCH_MESSAGES)) break
        this.#tell(request)
        messages.push(message)
      }
      const answer = this.#sendAll(concatenate(messages))
      if (answer.isLost) throw lost({ equivalent: `${messages.length} changes` })
      for (const refusal of answer.refusals) refusals.push({ ...refusal, index: from + refusal.index })
      from += messages.length
    }
    return refusals
  }

  /** A change, to whoever hears of those. */
  #tell(request: Request): void {
    this.#trace?.(wordsOf(request))
    tellChange(() => {
      const isElsewhere = this.namespace !== 0 && this.namespace !== inodeHere()
      return `${wordsOf(request)}${isElsewhere ? `    (in net:[${this.namespace}])` : ''}`
    })
  }

  [Symbol.dispose](): void {
    this.#over = true
    this.#transport.sequence = this.#sequence
    this.#transport.isQuiet = this.#open === 0
    this.#transport[Symbol.dispose]()
  }

  /** @returns false where the kernel said `absent` */
  #ask(request: Request, flags: number, take?: Take, absent?: number): boolean {
    this.#send(request, flags)
    return this.#conclude(request, take, absent)
  }

  #conclude(request: Request, take: Take = passOver, absent?: number): boolean {
    const outcome = this.#hear(request, take, absent)
    if (outcome === 'lost') throw lost(request)
    return outcome !== 'absent'
  }

  #send(request: Request, flags: number): void {
    this.#transport.send(this.#encode(request, flags))
  }

  #encode(request: Request, flags: number): Uint8Array {
    // Its socket may be another conversation's by now.
    if (this.#over) throw new TsnetError('internal', `${wordsOf(request)}: the conversation is over`)
    this.#sequence = (this.#sequence + 1) >>> 0
    this.#open++
    return encodeMessage({
      type: request.type,
      flags: k.NLM_F_REQUEST | flags | (request.flags ?? 0),
      sequence: this.#sequence,
      port: 0,
      payload: concatenate(request.payload),
    })
  }

  /** As #collect; when the answer makes no sense, the rest of it is thrown away, or the next dump is EBUSY. */
  #hear(request: Request, take: Take, absent?: number): Outcome {
    try {
      return this.#collect(request, take, absent)
    } catch (thrown) {
      if (!(thrown instanceof NetlinkError)) this.#drain()
      throw thrown
    }
  }

  #drain(): void {
    try {
      for (;;) this.#transport.receive(false)
    } catch {
      // EAGAIN: nothing is left.
    }
  }

  /**
   * Hands over every object of the answer until the kernel's verdict, or the one that was asked for.
   *
   * After ENOBUFS it reads on, since the kernel takes no other dump before the last is read to its end. But
   * it waits no more: what was lost may have been the end.
   */
  #collect(request: Request, take: Take, absent?: number): Outcome {
    let outcome: Outcome = 'whole'
    let overrun = false
    for (;;) {
      let datagram: Uint8Array
      try {
        datagram = this.#transport.receive(!overrun)
      } catch (thrown) {
        if (hasCode(thrown, 'ENOBUFS')) {
          overrun = true
          outcome = 'holed'
          continue
        }
        if (!hasCode(thrown, 'EAGAIN')) throw thrown
        if (overrun) return 'lost'
        throw failure(request, 'ETIMEDOUT', `the kernel did not answer within ${RECEIVE_TIMEOUT_S} s`)
      }
      for (const message of eachMessage(datagram)) {
        if (message.sequence !== this.#sequence) continue
        if ((message.flags & k.NLM_F_DUMP_INTR) !== 0) outcome = 'holed'
        if (message.type === k.NLMSG_ERROR || message.type === k.NLMSG_DONE) {
          const verdict = readVerdict(message)
          this.#open--
          if (verdict.errno === absent) return 'absent'
          if (verdict.errno !== 0) throw new NetlinkError(wordsOf(request), verdict)
          return outcome
        }
        if (message.type === k.NLMSG_NOOP || !take(message)) continue
        this.#open--
        return outcome
      }
    }
  }
}

const lost = (request: Pick<Request, 'equivalent'>): NetlinkError =>
  failure(request, 'ENOBUFS', 'the kernel had no memory for its answer')

/** Messages of one datagram begin at multiples of four. */
function padded(message: Uint8Array): Uint8Array {
  const over = message.length & 3
  return over === 0 ? message : concatenate([message, new Uint8Array(4 - over)])
}

const failure = (
  request: Pick<Request, 'equivalent'>,
  code: keyof typeof constants.errno,
  text?: string,
): NetlinkError => new NetlinkError(wordsOf(request), { errno: constants.errno[code], ...(text && { text }) })

/**
 * Opens a conversation with the namespace this thread is in. @throws SystemError
 * @param protocol NETLINK_ROUTE (links, addresses, routes) or NETLINK_NETFILTER
 */
export const openNetlink = (
  trace?: (equivalent: string) => void,
  protocol: number = k.NETLINK_ROUTE,
): Netlink => new Netlink(takeSocket(protocol), trace)
