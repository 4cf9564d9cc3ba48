/**
 * One publication in proxy, rules, claims and record: begun, led to other containers, ended. Who does so takes
 * the publication's turn before (publish.ts).
 *
 *     record → claim → sockets → rules → record: whole      to begin, or nothing of it
 *     sockets │ rules                           to lead: what of the two can be done is done
 *     mark → rules for what is new │ sockets → connections → other rules → claim → record   to end: the record goes when nothing else is left
 *
 * While rules are made or led elsewhere its lock is held, and nobody puts back what the record already says and the
 * kernel has not got yet (network/reconcile/).
 *
 * What fails leaves the publication leading nowhere rather than to what it should not, and the record says
 * what there is; so the same can be asked for again, as often as it takes.
 */

import { closeSync } from 'node:fs'
import { hasCode, TsnetError } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import { present } from '../model/present.ts'
import {
  type Container,
  calledAll,
  type Publication,
  type PublicationEnd,
} from '../model/publication/publication.ts'
import { everyStep, type Undo } from '../model/undo.ts'
import { endFlows } from '../nat/nat.ts'
import { isThere } from '../netns/container.ts'
import { despiteTheDead } from '../network/dead-claims.ts'
import { claimPorts, releasePorts } from '../ports/ports.ts'
import { probePorts } from '../ports/probe.ts'
import { removePublication, writePublication } from '../records/publications.ts'
import { whileLocked } from '../records/records.ts'
import type { Led } from './draft.ts'
import { type Drained, drain } from './front/drain.ts'
import type { Fronted, Ports } from './front/front.ts'
import { checkRedirect, claimedBy, portsOf, proxyPart, rulesFit, targetsOf } from './plan.ts'
import { requireFreeWithin } from './reverse/reverse.ts'
import { addRules, closePorts, dismiss, type KernelPart, obstacleOf, removeRules, rulesFor } from './rules.ts'
import { signatureOf } from './service/service.ts'

export class Serving {
  readonly #front: Ports
  readonly #backend: NatBackend | undefined
  /** Where a publication leads (signatureOf), as far as we have led it there. */
  readonly #ledTo = new Map<string, string>()

  /** @param backend the firewall to use; absent: as chooseBackend decides */
  constructor(front: Ports, backend: NatBackend | undefined) {
    this.#front = front
    this.#backend = backend
  }

  /**
   * @param draft is led to those of its containers that run
   * @param settle does what else has to be so before it counts as published
   * @throws TsnetError `conflict` where the port is not free, `not-running` where none of them runs any more
   */
  async begin(
    draft: Publication,
    undo: Undo,
    settle: (publication: Publication) => void = () => {},
  ): Promise<Publication> {
    checkRedirect(draft)
    const running = runningOnly(draft)
    if (running.containers.length === 0 && draft.service === undefined)
      throw new TsnetError('not-running', `${calledAll(draft.containers)} has just ended`)
    const kernel = rulesFor(running, this.#backend)
    const forwarding = proxyPart(running)
    const publication = { ...draft, ...kernel }
    await whileLocked(draft.id, async () => {
      undo.push('the record', () => removePublication(draft.id))
      writePublication({ ...publication, beginning: true })
      const ports = claimedBy(draft)
      undo.push('the claim on host ports', () => releasePorts(draft.id, ports))
      const probe = forwarding === undefined
      await despiteTheDead(draft.id, ports, () => claimPorts(draft.id, ports, { probe }))
      if (forwarding !== undefined) {
        this.#listen(forwarding, draft)
        undo.push('the listening sockets', () => this.#front.withdraw(draft.id))
      }
      undo.push('the rules', () => removeRules(publication))
      await addRules(publication)
      settle(publication)
      writePublication(publication)
    })
    this.#ledTo.set(draft.id, signatureOf(running))
    return publication
  }

  /** Takes down what somebody was making who died. @throws as `end` does */
  takeBack(publication: Publication): Promise<void> {
    // Its maker's lock is let go of with its file.
    return whileLocked(publication.id, async () => void (await this.end(publication, 'unpublished')))
  }

  /**
   * Listens again for one that is written down. Its rules are in the kernel.
   * @param handedIn sockets that a process before us had; they are closed where they cannot be used
   * @throws TsnetError
   */
  resume(publication: Publication, handedIn: number[][] | undefined, isRunning: typeof isThere): void {
    const running = runningOnly(publication, isRunning)
    try {
      const forwarding = proxyPart(running)
      if (forwarding !== undefined) this.#listen(forwarding, running, handedIn)
      else for (const fd of handedIn?.flat() ?? []) closeSync(fd)
    } catch (thrown) {
      for (const fd of handedIn?.flat() ?? []) closeSync(fd)
      throw thrown
    }
    // Rules that lead to one that does not run, or to what it was before, may still be there.
    const isWhole = running.containers.length === publication.containers.length
    if (isWhole && rulesFit(publication)) this.#ledTo.set(publication.id, signatureOf(running))
  }

  /** True when these are the containers of a publication, and it leads to those of them that run. */
  leadsTo(publication: Publication, led: Led): boolean {
    const running = runningOnly({ ...publication, ...led })
    return (
      signatureOf(led) === signatureOf(publication) &&
      this.#ledTo.get(publication.id) === signatureOf(running)
    )
  }

  /**
   * Leads a publication to these containers, running ones; to nowhere while there are none.
   * @throws the error, or an AggregateError, after having done what can be done
   */
  async lead(publication: Publication, containers: Container[]): Promise<Publication> {
    const running = runningOnly({ ...publication, containers })
    let led = { ...publication, containers }
    this.#ledTo.delete(publication.id)
    await everyStep([
      () => this.#leadFront(running, publication.containers),
      async () => {
        led = await this.#leadRules(led, running)
      },
    ])
    this.#ledTo.set(publication.id, signatureOf(running))
    return led
  }

  /** @param before the containers until now: of those that have gone, connections end */
  async #leadFront(running: Publication, before: readonly Container[]): Promise<void> {
    if (running.reverse) return this.#leadReverse(running, before)
    const { id } = running
    const nowhere = proxyPart({ ...running, containers: [] })
    if (nowhere === undefined) return
    if (!this.isServed(id)) this.#listen(nowhere, running)
    try {
      const haveGone = before.some(each => !isThere(each.netns))
      await this.#front.retarget(id, targetsOf(running), haveGone)
    } catch (thrown) {
      await this.#front.retarget(id, [])
      throw thrown
    }
  }

  /** It listens on where it did, as long as that is the same container; else anew in the one that runs. */
  async #leadReverse(running: Publication, before: readonly Container[]): Promise<void> {
    const { id } = running
    const isServed = this.isServed(id)
    const stays = signatureOf(running) === signatureOf({ containers: [...before] })
    if (isServed && stays) return this.#front.retarget(id, targetsOf(running))
    if (isServed) await this.#front.withdraw(id)
    const forwarding = proxyPart(running)
    if (forwarding !== undefined) this.#listen(forwarding, running)
  }

  /** @param publication with its new containers, and the rules that there are for the earlier ones */
  #leadRules(publication: Publication, running: Publication): Promise<Publication> {
    return whileLocked(publication.id, () => this.#changeRules(publication, running))
  }

  async #changeRules(publication: Publication, running: Publication): Promise<Publication> {
    const { nat: before, natObstacle: _, ...bare } = publication
    writePublication(publication)
    let kernel: KernelPart = {}
    let failure: unknown
    try {
      if (running.containers.length > 0 || running.service !== undefined)
        kernel = rulesFor(running, this.#backend)
    } catch (thrown) {
      failure = thrown
    }
    const next = { ...bare, ...kernel }
    if (failure === undefined && JSON.stringify(kernel.nat) === JSON.stringify(before)) {
      writePublication(next)
      return next
    }
    await removeRules(publication)
    writePublication(next)
    if (failure !== undefined) throw failure
    try {
      await addRules(next)
    } catch (thrown) {
      await removeRules(next)
      writePublication(bare)
      throw thrown
    }
    return next
  }

  /** True where rules of others are in the way of a running publication as they were not, or are no more. */
  isObstructedAnew(publication: Publication): boolean {
    try {
      return obstacleOf(publication, this.#backend) !== publication.natObstacle
    } catch {
      // Something else is in its way, and whoever leads it says what.
      return false
    }
  }

  /** Decides again what the kernel does for a running publication, by the rules that others have now. */
  async reconsider(publication: Publication): Promise<Publication> {
    if (publication.mode !== 'nat') return this.#leadRules(publication, publication)
    // Nobody else could serve it: so it is only said.
    const { natObstacle: _, ...rest } = publication
    const said = { ...rest, ...present({ natObstacle: obstacleOf(publication, this.#backend) }) }
    writePublication(said)
    return said
  }

  /**
   * Takes a publication down. It is marked before, so that whoever comes after a kill goes on with that, and no longer
   * than was left.
   * @throws the error, or an AggregateError, after having tried all; the record stays then
   */
  async end(publication: Publication, why: PublicationEnd): Promise<Drained> {
    const { id, drainMs, ending, drainsUntil = Date.now() + drainMs } = publication
    if (ending === undefined)
      mark({
        ...publication,
        ending: why,
        ...present({ drainsUntil: drainMs > 0 ? drainsUntil : undefined }),
      })
    this.#ledTo.delete(id)
    let drained: Drained = { connections: 0, cut: 0 }
    await everyStep([
      () => closePorts(publication),
      async () => {
        const leftMs = Math.min(Math.max(drainsUntil - Date.now(), 0), drainMs)
        drained = await drain(this.#front, publication, leftMs)
      },
      () => dismiss(publication),
    ])
    await everyStep([
      () => publication.nat && endFlows([portsOf(publication)]),
      () => releasePorts(id, claimedBy(publication)),
      () => removePublication(id),
    ])
    return drained
  }

  /** True while the proxy listens for it. */
  isServed(id: string): boolean {
    return this.#front.countersOf(id) !== undefined
  }

  /** @throws TsnetError `conflict` naming the process that listens there */
  #listen(forwarding: Fronted, publication: Publication, handedIn?: number[][]): void {
    try {
      this.#front.publish(forwarding, handedIn)
    } catch (thrown) {
      if (hasCode(thrown, 'conflict') && publication.reverse) requireFreeWithin(publication)
      if (hasCode(thrown, 'conflict')) probePorts(claimedBy(publication))
      throw thrown
    }
  }
}

/** Without the containers that do not run: the address that one had may be another's by now. */
const runningOnly = (publication: Publication, isRunning = isThere): Publication => ({
  ...publication,
  containers: publication.containers.filter(each => isRunning(each.netns)),
})

/** A disk that is full is no reason to keep anything. */
function mark(publication: Publication): void {
  try {
    writePublication(publication)
  } catch {
    // It is ended all the same.
  }
}
