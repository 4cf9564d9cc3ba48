/** What there is to look at when something is inspected. */

import type { HeldPort } from '../../publish/attachment-ports.ts'
import type { Served } from '../../publish/publish.ts'
import type { Mention } from '../../records/mention.ts'
import type { Attached } from '../attached.ts'
import type { Host } from '../places.ts'

export interface View {
  host: Host
  /** What is attached and may be meant by a word. */
  attached(word: string): Promise<Attached[]>
  /**
   * What is published. A host's are many, and asked for only where some of them may be meant.
   * @param mention of what is written down, nothing else need be told
   */
  ports(mention: Mention): Promise<Ports>
  hasDaemon: boolean
}

export interface Ports {
  published: readonly Served[]
  /** What the daemon holds for others; none without one. */
  held: readonly HeldPort[]
}
