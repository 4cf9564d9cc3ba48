/** Finds a container among all runtimes and what tsnet itself attached. */

import type { Container } from '../model/publication/publication.ts'
import { FolderIndex } from '../records/folder-index.ts'
import { ENTRIES, ownerIn, readEntry } from '../records/records.ts'
import { type Found, resolveAgain, resolveContainer } from '../runtime/runtime.ts'

/** For a process that looks for one container after the other: what is attached is read where it changed. */
export class Resolver {
  readonly #attached = new FolderIndex(ENTRIES, name => foundIn(ownerIn(name)))

  readonly #warn: (line: string) => void

  /** @param warn hears of a runtime that was not waited for */
  constructor(warn: (line: string) => void = () => {}) {
    this.#warn = warn
  }

  /** @throws TsnetError `unknown-container`, `not-running`, `io`, `missing`, `invalid-environment`, `invalid-netns` */
  async resolve(reference: string): Promise<Container> {
    const container = await resolveContainer(reference, this.#attached.list(), undefined, this.#warn)
    return { ...container, asked: reference }
  }

  /** The same container after a restart. @throws TsnetError as `resolve` */
  async findAgain(container: Container): Promise<Container> {
    const { asked } = container
    const found = await resolveAgain(container, this.#attached.list())
    return { ...found, ...(asked !== undefined && { asked }) }
  }
}

/** As Resolver.resolve, for a process that looks for one. */
export const resolve = (reference: string, warn?: (line: string) => void): Promise<Container> =>
  new Resolver(warn).resolve(reference)

function foundIn(owner: string | undefined): Found | undefined {
  const entry = owner === undefined ? undefined : readEntry(owner)
  if (entry?.state !== 'attached') return undefined
  const { containerId: id, aliases, netns } = entry.attachment
  return { runtime: 'cni', id, name: aliases[0] ?? id, aliases, netnsPath: netns.path }
}
