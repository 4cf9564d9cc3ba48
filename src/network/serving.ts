/**
 * One publication in proxy, rules, claims and record: begun, led to other containers, ended. Who does so takes
 * the publication's turn before (publisher.ts).
 */

import { hasCode } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import type { Container, Publication } from '../model/publication.ts'
import { everyStep, type Undo } from '../model/undo.ts'
import { endFlows } from '../nat/nat.ts'
import type { Publication as Forwarding, PortProxy } from '../proxy/proxy.ts'
import { isThere } from './container.ts'
import { removePublication, writePublication } from './owners.ts'
import { claimPorts, releasePorts } from './port-claims.ts'
import { probePorts } from './port-probe.ts'
import { portsOf, proxyPart, targetsOf } from './publish-plan.ts'
import { addRules, removeRules, rulesFor } from './publish-rules.ts'

export class Serving {
  readonly #proxy: PortProxy
  readonly #backend: NatBackend | undefined

  /** @param backend the firewall to use; absent: as chooseBackend decides */
  constructor(proxy: PortProxy, backend: NatBackend | undefined) {
    this.#proxy = proxy
    this.#backend = backend
  }

  /** @throws TsnetError `conflict` where the port is not free */
  async begin(draft: Publication, undo: Undo): Promise<Publication> {
    const nat = rulesFor(draft, this.#backend)
    const forwarding = proxyPart(draft)
    const publication = { ...draft, ...(nat && { nat }) }
    undo.push('the record', () => removePublication(draft.id))
    writePublication(publication)
    undo.push('the claim on host ports', () => releasePorts(draft.id, [portsOf(draft)]))
    await claimPorts(draft.id, [portsOf(draft)], { probe: forwarding === undefined })
    if (forwarding !== undefined) {
      this.#listen(forwarding, draft)
      undo.push('the listening sockets', () => this.#proxy.withdraw(draft.id))
    }
    undo.push('the rules', () => removeRules(publication))
    await addRules(publication)
    return publication
  }

  /** Listens again for one that is written down, with the sockets that a process before us had, if any. */
  resume(publication: Publication, handedIn: number[][] | undefined, isRunning: typeof isThere): void {
    const forwarding = proxyPart(runningOnly(publication, isRunning))
    if (forwarding !== undefined) this.#proxy.publish(forwarding, handedIn)
  }

  /** Leads a publication to these containers, running ones; to nowhere while there are none. */
  async lead(publication: Publication, containers: Container[]): Promise<Publication> {
    const { nat: _, ...rest } = publication
    const draft: Publication = { ...rest, containers }
    const running = runningOnly(draft)
    if (publication.mode !== 'nat') await this.#proxy.retarget(publication.id, targetsOf(running))
    const nat = running.containers.length === 0 ? undefined : rulesFor(running, this.#backend)
    const changed = { ...draft, ...(nat && { nat }) }
    await removeRules(publication)
    writePublication(changed)
    await addRules(changed)
    return changed
  }

  /** @throws the error, or an AggregateError, after having tried all */
  async end(publication: Publication): Promise<void> {
    const { id, drainMs } = publication
    await everyStep([
      () => removeRules(publication),
      async () => {
        if (this.#proxy.countersOf(id) !== undefined) await this.#proxy.withdraw(id, { drainMs })
      },
      () => publication.nat && endFlows([portsOf(publication)]),
      () => releasePorts(id, [portsOf(publication)]),
      () => removePublication(id),
    ])
  }

  /** @throws TsnetError `conflict` naming the process that listens there */
  #listen(forwarding: Forwarding, draft: Publication): void {
    try {
      this.#proxy.publish(forwarding)
    } catch (thrown) {
      if (hasCode(thrown, 'conflict')) probePorts(portsOf(draft))
      throw thrown
    }
  }
}

/** Without the containers that do not run: the address that one had may be another's by now. */
const runningOnly = (publication: Publication, isRunning = isThere): Publication => ({
  ...publication,
  containers: publication.containers.filter(each => isRunning(each.netns)),
})
