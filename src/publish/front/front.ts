/**
 * Who stands at the host's ports: the proxy, which listens on all of them, and before it, where that is asked for, the
 * kernel, which leads clients of loopback to the container itself (redirect/).
 *
 *     publish     proxy listens → entry         the socket is the reservation
 *     retarget    entry │ proxy
 *     withdraw    entry → proxy, connections    the address may be another container's soon
 *
 * What cannot be redirected the proxy serves, and why is remembered: nothing here fails for it. The kernel is asked
 * when there is something to redirect for the first time; what it refuses then is said once.
 *
 * Rules of others may keep some process of this host from a loopback port (-o lo … -m owner), and whoever is redirected
 * does not pass them. Where there are such, only what asked for it itself is redirected, and it is said.
 */

import { hasCode, messageOf, TsnetError } from '../../model/errors.ts'
import { present } from '../../model/present.ts'
import { judgeLoopback } from '../../ports/foreign-rules.ts'
import type { Counters, Publication as Forwarding, PortProxy, Target } from '../../proxy/proxy.ts'
import { Redirect, type RedirectPlan } from '../../redirect/redirect.ts'
import { Reconsidering } from '../upkeep/reconsider.ts'
import { redirectPlan } from './redirect-plan.ts'

/** A publication of the proxy; `redirect` says whether it may be redirected, absent: as the daemon is set. */
export type Fronted = Forwarding & { redirect?: boolean }

/** What the kernel has led past the proxy. */
export interface Redirected {
  /** How many connections were begun. */
  connections: number
  /** What the proxy counts of its own, and nobody of these. */
  uncounted: readonly (keyof Counters)[]
}

/** Whoever holds ports. */
export interface Ports {
  readonly workers: number
  publish(publication: Fronted, handedIn?: readonly (readonly number[])[]): number
  /** @param end connections to the targets before are ended: there is nobody left at their end */
  retarget(id: string, targets: readonly Target[], end?: boolean): Promise<void>
  withdraw(id: string, options?: { drainMs?: number }): Promise<void>
  countersOf(id: string): Counters | undefined
  sockets(id: string): number[][]
  /** Undefined where the proxy serves all of it. */
  redirectedOf?(id: string): Redirected | undefined
  /** Why the proxy serves what should have been redirected, or whom those pass by who are; a sentence. */
  redirectObstacleOf?(id: string): string | undefined
}

const UNCOUNTED = ['active', 'failed', 'bytesIn', 'bytesOut'] as const

interface Standing {
  publication: Fronted
  /** Rules that those who are led do not pass. */
  guard?: string
  /** Why it is not redirected, or what is to be known of it. */
  obstacle?: string
}

export class Front implements Ports {
  readonly #proxy: PortProxy
  readonly #isDefault: boolean
  readonly #log: (line: string) => void
  readonly #standing = new Map<string, Standing>()
  #redirect: Redirect | undefined
  /** Why the kernel redirects nothing. */
  #refusal: string | undefined
  #cannotEnd = false
  readonly #reconsidering = new Reconsidering()

  /** @param isDefault redirect what does not say otherwise */
  constructor(proxy: PortProxy, isDefault: boolean, log: (line: string) => void) {
    this.#proxy = proxy
    this.#isDefault = isDefault
    this.#log = log
  }

  get workers(): number {
    return this.#proxy.workers
  }

  /** As PortProxy.publish. */
  publish(publication: Fronted, handedIn?: readonly (readonly number[])[]): number {
    const hostPort = this.#proxy.publish(publication, handedIn)
    this.#lead({ ...publication, hostPort })
    return hostPort
  }

  /** As PortProxy.retarget. */
  async retarget(id: string, targets: readonly Target[], end = false): Promise<void> {
    const standing = this.#standing.get(id)
    const before = standing && planOf(standing.publication)
    if (standing !== undefined) this.#lead({ ...standing.publication, targets })
    await Promise.all([
      this.#proxy.retarget(id, targets),
      end && before !== undefined && this.#end(before, 0),
    ])
  }

  /** As PortProxy.withdraw; so end those who were redirected. */
  async withdraw(id: string, { drainMs = 0 }: { drainMs?: number } = {}): Promise<void> {
    this.#standing.delete(id)
    const plan = this.#redirect?.remove(id)
    await Promise.all([this.#proxy.withdraw(id, { drainMs }), plan !== undefined && this.#end(plan, drainMs)])
  }

  countersOf(id: string): Counters | undefined {
    return this.#proxy.countersOf(id)
  }

  sockets(id: string): number[][] {
    return this.#proxy.sockets(id)
  }

  redirectedOf(id: string): Redirected | undefined {
    const connections = this.#redirect?.connections(id)
    return connections === undefined ? undefined : { connections, uncounted: UNCOUNTED }
  }

  redirectObstacleOf(id: string): string | undefined {
    return this.#standing.get(id)?.obstacle
  }

  /** Decides again where rules of others have changed. To be called every second or so. */
  async reconsider(): Promise<void> {
    const led = () =>
      [...this.#standing].flatMap(([id, { publication, guard: natObstacle }]) =>
        this.#isAsked(publication) ? [{ id, publication, ...present({ natObstacle }) }] : [],
      )
    const changed = this.#reconsidering.changed(
      led,
      () => true,
      ({ publication, natObstacle }) => guardOf(planOf(publication)) !== natObstacle,
    )
    for (const { publication } of changed) this.#lead(publication)
  }

  #isAsked = ({ redirect = this.#isDefault }: Fronted): boolean => redirect

  /** What sockets asked for, for a successor to copy; undefined where nothing is redirected. */
  get asked(): number | undefined {
    return this.#redirect?.asked
  }

  /** A predecessor's, which is ours from now on: those who were led go on to see whom they asked for. */
  inherit(asked: number): void {
    this.#begin(asked)
  }

  /** Redirects nothing from now on; connections go on. */
  close(): void {
    this.#redirect?.[Symbol.dispose]()
    this.#redirect = undefined
    this.#refusal ??= 'it has ended'
  }

  #lead(publication: Fronted): void {
    const { id, redirect = false } = publication
    const plan = this.#isAsked(publication) ? planOf(publication) : undefined
    const guard = guardOf(plan)
    const isLed = plan !== undefined && (guard === undefined || redirect)
    const refusal = isLed ? this.#set(id, plan) : undefined
    if (!isLed || refusal !== undefined) this.#redirect?.remove(id)
    const obstacle = sentence(redirect, refusal, guard)
    this.#standing.set(id, { publication, ...present({ guard, obstacle }) })
  }

  /** @returns why it is not redirected */
  #set(id: string, plan: RedirectPlan): string | undefined {
    try {
      this.#begin()?.set(id, plan)
      return this.#refusal
    } catch (thrown) {
      return messageOf(thrown)
    }
  }

  #begin(asked?: number): Redirect | undefined {
    if (this.#redirect !== undefined || this.#refusal !== undefined) return this.#redirect
    try {
      this.#redirect = new Redirect(asked)
    } catch (thrown) {
      this.#refusal = messageOf(thrown)
      const details =
        thrown instanceof TsnetError && thrown.details !== undefined ? `\n${thrown.details}` : ''
      this.#log(`the proxy alone serves clients on loopback: ${this.#refusal}${details}`)
    }
    return this.#redirect
  }

  /** Returns as those are ended who are in the kernel's lists. Where it cannot end them, they live until either side does. */
  async #end(plan: RedirectPlan, drainMs: number): Promise<void> {
    await this.#noted(this.#redirect?.end(plan, drainMs))
    void this.#noted(this.#redirect?.endLate(plan))
  }

  async #noted(ended: Promise<void> | undefined): Promise<void> {
    try {
      await ended
    } catch (thrown) {
      if (!hasCode(thrown, 'EOPNOTSUPP') || !this.#cannotEnd)
        this.#log(`redirected connections could not be ended: ${messageOf(thrown)}`)
      if (hasCode(thrown, 'EOPNOTSUPP')) this.#cannotEnd = true
    }
  }
}

const guardOf = (plan: RedirectPlan | undefined): string | undefined => plan && judgeLoopback(plan)

/** What is to be known of something that asked for it itself; of the others, why rules are in the way. */
function sentence(
  isAsked: boolean,
  refusal: string | undefined,
  guard: string | undefined,
): string | undefined {
  if (refusal !== undefined) return isAsked ? `the proxy serves clients on loopback: ${refusal}` : undefined
  if (guard === undefined) return undefined
  return isAsked
    ? `clients on loopback are led past rules: ${guard}`
    : `clients on loopback are not led past the proxy: ${guard}`
}

function planOf(publication: Fronted): RedirectPlan | undefined {
  const plan = redirectPlan(publication)
  return typeof plan === 'object' ? plan : undefined
}
