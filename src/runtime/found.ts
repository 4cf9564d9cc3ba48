/** What a runtime says of one container, and which of several a reference means. */

import { LONG_ID, shortName } from '../model/publication/container-name.ts'
import type { Runtime } from '../model/publication/publication.ts'
import type { Reference } from './reference.ts'

export interface Found {
  runtime: Runtime
  /** Whole id. */
  id: string
  /** As people call it; the id where it has no name. */
  name: string
  /** Within which names are unique: containerd's namespace, or a pod's. */
  scope?: string
  /** Other words it answers to. */
  aliases?: readonly string[]
  /** Its first process; 0: it is not running; absent: not asked for yet. */
  pid?: number
  /** The namespace's path, where the runtime names one. */
  netnsPath?: string
}

/** A runtime of this host, or one way to ask it. */
export interface Source {
  runtime: Runtime
  /**
   * All its containers, running or not.
   * @param end aborts when nobody waits for the answer any more
   * @throws TsnetError `missing`: this runtime is not here; anything else: it is, and does not answer
   */
  list(end?: AbortSignal): Found[] | Promise<Found[]>
  /** Adds the first process of a container that was listed without. */
  locate?(found: Found): Promise<Found>
}

/** The one reference that means this container and no other, also after a restart. */
export const referenceOf = ({ runtime, scope, name }: Found): string =>
  `${runtime}:${scope === undefined ? '' : `${scope}/`}${name}`

/** For people: an id in it is cut, and still enough to find it. */
export const shortReference = (reference: string): string =>
  reference.replace(/[^:/]+$/, name => shortName(name))

/**
 * One of all that mean the same container, the first: Docker's are containerd's and runc's too, by id or by
 * process, and what is in a pod is the pod.
 */
export function eachOnce(all: readonly Found[]): Found[] {
  const seen = new Set<string | number>()
  return all.filter(({ id, pid = 0 }) => {
    const isNew = !seen.has(id) && !seen.has(pid)
    seen.add(id)
    if (pid > 0) seen.add(pid)
    return isNew
  })
}

/** How well a name fits: 2 its name, alias or whole id, 1 the beginning of its id, 0 not at all. */
function fit(found: Found, name: string): 0 | 1 | 2 {
  const slash = name.indexOf('/')
  if (found.scope !== undefined && slash >= 0) {
    const { scope, ...rest } = found
    return scope === name.slice(0, slash) ? fit(rest, name.slice(slash + 1)) : 0
  }
  if (found.name === name || found.id === name || found.aliases?.includes(name) === true) return 2
  return LONG_ID.test(found.id) && found.id.startsWith(name) ? 1 : 0
}

/** Those that fit best. */
export function bestOf(all: readonly Found[], { name }: Reference): Found[] {
  const fits = all.map(found => fit(found, name))
  const best = Math.max(1, ...fits)
  return all.filter((_, i) => fits[i] === best)
}

/** True for a word that means this container, also while it does not run. */
export function answersTo(
  found: Found,
  { runtime, name }: Reference,
): 'by name' | 'by beginning' | undefined {
  if (runtime !== undefined && runtime !== found.runtime) return undefined
  return ([undefined, 'by beginning', 'by name'] as const)[fit(found, name)]
}
