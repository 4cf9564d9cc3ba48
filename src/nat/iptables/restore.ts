/**
 * `iptables-restore`, one process for many files.
 *
 *     file ─▶ running alone        file, file, file ─▶ joined        file ─▶ …
 *             ───────── one after the other, through the same process ─────────▶ time
 *
 * It says when a table is in force, and nobody waits for its end: at the end of its input it closes its
 * socket, and after a deletion that waits for a grace period and keeps a link from being deleted meanwhile.
 * While it is open it serves the files that come next, which spares them the start, the loading of
 * extensions, and the waits that belong to these. What comes while a file is being carried out is joined
 * into the next one (join.ts).
 *
 * It ends by itself where it does not take a table. Of a joined file each part is then carried out alone,
 * from where it stopped, so that only those fail that have to, with what iptables says of them.
 */

import type { Finished } from '../../ffi/command.ts'
import { Dialogue, type Reply } from '../../ffi/dialogue.ts'
import { TIMEOUT_MS } from '../commands.ts'
import { patiently } from '../patience.ts'
import { joinable, joinFiles, lineCount, type Part, partsOf, type Step, textOf } from './join.ts'

/** Of a command, when it could not have the lock of its tables. */
export const RESOURCE_PROBLEM = 4

/** How long a process is kept that nobody needs. */
const IDLE_MS = 1000

/** With more files than this on their way nobody may hold the event loop. */
const FEW = 2
let onTheirWay = 0

interface Order {
  /** What is not yet in force. */
  parts: Part[]
  /** How many lines of its file are in force. */
  linesDone: number
  done: (failure?: Finished) => void
  failed: (thrown: unknown) => void
}

/** How far steps came. */
interface Outcome {
  inForce: number
  failure?: Finished
}

/** Something that takes steps, as iptables-restore does. */
export type Feed = (steps: readonly Step[], linesDone: number) => Promise<Outcome>

/** Files in line for one feed. */
export class Restorer {
  readonly #feed: Feed
  readonly #waiting: Order[] = []
  #isBusy = false

  constructor(feed: Feed) {
    this.#feed = feed
  }

  /**
   * Carries out a file.
   * @returns nothing when it was taken, else how the command ended that did not take it
   */
  async restore(file: string): Promise<Finished | undefined> {
    const parts = partsOf(file)
    if (parts.length === 0) return undefined
    onTheirWay++
    try {
      return await new Promise((done, failed) => {
        this.#waiting.push({ parts, linesDone: 0, done, failed })
        if (!this.#isBusy) void this.#work()
      })
    } finally {
      onTheirWay--
    }
  }

  async #work(): Promise<void> {
    this.#isBusy = true
    while (this.#waiting.length > 0) {
      const places = joinable(this.#waiting.map(({ parts }) => parts))
      const orders = places.flatMap(place => this.#waiting[place] ?? [])
      for (const place of places.toReversed()) this.#waiting.splice(place, 1)
      await this.#carryOut(orders)
    }
    this.#isBusy = false
  }

  async #carryOut(orders: Order[]): Promise<void> {
    const steps = joinFiles(orders.map(({ parts }) => parts))
    const outcome = await this.#feed(steps, orders[0]?.linesDone ?? 0).catch((thrown: unknown) => {
      for (const { failed } of orders) failed(thrown)
    })
    if (outcome === undefined) return
    const { inForce, failure } = outcome
    for (const [place, order] of orders.entries()) {
      const taken = steps.slice(0, inForce).filter(({ files }) => files.includes(place)).length
      order.linesDone += lineCount(order.parts.slice(0, taken))
      order.parts = order.parts.slice(taken)
    }
    for (const order of orders) {
      if (failure === undefined || order.parts.length === 0) order.done()
      else if (orders.length === 1 || isEverybodys(failure)) order.done(failure)
      else await this.#carryOut([order])
    }
  }
}

/** Not the fault of a line: each alone would only wait as long once more. */
const isEverybodys = ({ code }: Finished): boolean => code === RESOURCE_PROBLEM || code > 128

/** Feeds a process of iptables-restore, which it starts when it needs one and ends when nobody does. */
export function feedProcess(path: string, args: string[], env: string[]): Feed {
  let dialogue: Dialogue | undefined
  let linesFed = 0
  let marks = 0
  let idle: NodeJS.Timeout | undefined

  const leave = () => {
    dialogue?.leave()
    dialogue = undefined
  }
  const open = async (): Promise<Dialogue> => {
    // Somebody may have ended it meanwhile.
    if (dialogue?.hasEnded()) leave()
    if (dialogue !== undefined) return dialogue
    linesFed = 0
    dialogue = await patiently(() => new Dialogue(path, args, env))
    return dialogue
  }
  const ask = async (text: string, answer: string): Promise<Reply> => {
    try {
      return await (await open()).ask({ text, answer, withinMs: TIMEOUT_MS, many: () => onTheirWay > FEW })
    } catch (thrown) {
      leave()
      throw thrown
    }
  }

  return async (steps, linesDone) => {
    clearTimeout(idle)
    const first = marks
    marks += steps.length
    const markOf = (step: number): string => `# step ${first + step} is in force`
    const { stdout, ended } = await ask(textOf(steps, markOf), `${markOf(steps.length - 1)}\n`)
    if (ended === undefined) idle = setTimeout(leave, IDLE_MS).unref()
    else dialogue = undefined
    const inForce = steps.filter((_, i) => stdout.includes(`${markOf(i)}\n`)).length
    const before = linesFed + inForce - linesDone
    linesFed += lineCount(steps) + steps.length
    if (ended === undefined || inForce === steps.length) return { inForce: steps.length }
    return { inForce, failure: { ...ended, stderr: renumbered(ended.stderr, before) } }
  }
}

/** What is said of lines since the start of a process, said of those of a file that began after some. */
const renumbered = (text: string, before: number): string =>
  text.replace(/\b(line:? )(\d+)/g, (_, word: string, number: string) => `${word}${Number(number) - before}`)
