/**
 * One side of a link while it is being made: the host, or the container.
 */

import type { Undo } from '../model/undo.ts'
import type { Netlink } from '../netlink/netlink.ts'
import type { Netns } from '../netns/netns.ts'

export interface Side {
  /** A conversation with the kernel in this side's namespace. */
  nl: Netlink
  netns: Netns
  undo: Undo
  /** Hears the command that would do the same as each change. */
  trace: (equivalent: string) => void
}
