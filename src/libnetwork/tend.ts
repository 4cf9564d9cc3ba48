/**
 * What dockerd tells nobody: that it has put a container on its network, what the container is called, and that it is gone.
 */

import { existsSync } from 'node:fs'
import { messageOf } from '../model/errors.ts'
import { type Attachment, type AttachmentKey, type HandedOver, ownerTag } from '../model/network.ts'
import { everyOne } from '../model/undo.ts'
import { settle } from '../network/handed-over/handed-over.ts'
import { detach } from '../network/network.ts'
import { deadCheck, isWaiting } from '../records/dead.ts'
import { endpointNames } from '../runtime/runtime.ts'
import type { World } from './world.ts'

/** What is kept of an endpoint for whoever looks again and again. */
export interface Endpoint extends AttachmentKey, Pick<Attachment, 'netns' | 'bootId' | 'createdAt'> {
  handedOver: HandedOver
  isNamed: boolean
}

/** Undefined for any other attachment. */
export function endpointOf(attachment: Attachment): Endpoint | undefined {
  const { network, containerId, ifname, netns, bootId, createdAt, handedOver, aliases } = attachment
  if (handedOver === undefined) return undefined
  return { network, containerId, ifname, netns, bootId, createdAt, handedOver, isNamed: aliases.length > 0 }
}

/** Each this many looks the dead are looked for. */
const DEAD_EVERY = 5
/** dockerd writes down what a container is called once it runs, and may be asked to come back. */
const ASKED_AT_MOST = 30

export class Tender {
  readonly #endpoints: () => readonly Endpoint[]
  readonly #world: Pick<World, 'log'>
  /** How often Docker was asked who they are. */
  readonly #asked = new Map<string, number>()
  #looks = 0

  constructor(endpoints: () => readonly Endpoint[], world: Pick<World, 'log'>) {
    this.#endpoints = endpoints
    this.#world = world
  }

  /** One look. */
  async tend(): Promise<void> {
    const all = this.#endpoints()
    const isTime = this.#looks++ % DEAD_EVERY === 0
    if (all.length === 0) return this.#asked.clear()
    const waiting = all.filter(
      each => isWaiting(each) && each.netns.path !== '' && existsSync(each.netns.path),
    )
    await everyOne(waiting.map(async each => void (await settle(ownerTag(each)))))
    await this.#name(all.filter(each => !each.isNamed && each.netns.path !== ''))
    if (isTime) await this.#bury(all)
  }

  async #name(unnamed: readonly Endpoint[]): Promise<void> {
    const asking = unnamed.filter(each => (this.#asked.get(each.containerId) ?? 0) < ASKED_AT_MOST)
    for (const id of this.#asked.keys())
      if (!unnamed.some(({ containerId }) => containerId === id)) this.#asked.delete(id)
    if (asking.length === 0) return
    for (const { containerId } of asking)
      this.#asked.set(containerId, (this.#asked.get(containerId) ?? 0) + 1)
    const names = await endpointNames(asking.map(({ containerId }) => containerId)).catch(
      () => new Map<string, string[]>(),
    )
    for (const each of asking) {
      const aliases = names.get(each.containerId)
      if (aliases !== undefined) await settle(ownerTag(each), aliases)
    }
  }

  async #bury(all: readonly Endpoint[]): Promise<void> {
    const isDead = deadCheck()
    for (const each of all.filter(isDead)) {
      this.#world.log(
        `endpoint ${each.containerId.slice(0, 12)} of network ${each.network}: its container is gone`,
      )
      await detach(each).catch(thrown => this.#world.log(messageOf(thrown)))
    }
  }
}
