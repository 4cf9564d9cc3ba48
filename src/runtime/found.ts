/** What a runtime says of one container, and which of several a reference means. */

import type { Runtime } from '../model/publication.ts'

export interface Found {
  runtime: Runtime
  /** Whole id. */
  id: string
  /** As people call it; the id where it has no name. */
  name: string
  /** Other words it answers to: a pod's `namespace/name`, containerd's `namespace/id`. */
  aliases?: string[]
  /** Its first process; absent or 0: it is not running. */
  pid?: number
  /** The namespace's path, where the runtime names one. */
  netnsPath?: string
}

/** How well a name fits: 2 its name, alias or whole id, 1 the beginning of its id, 0 not at all. */
export function fit(found: Found, name: string): 0 | 1 | 2 {
  if (found.name === name || found.id === name || found.aliases?.includes(name)) return 2
  return found.id.startsWith(name) ? 1 : 0
}

/** Those that fit best. */
export function bestOf(all: readonly Found[], name: string): Found[] {
  const fits = all.map(found => fit(found, name))
  const best = Math.max(1, ...fits)
  return all.filter((_, i) => fits[i] === best)
}
