/** What calls work on, beside what they say. */

import type { PortHolder } from '../control/held-ports.ts'
import type { Host } from '../networks/networks.ts'

export interface World {
  host: Host
  /** Who holds the ports of attachments, and tells their names. */
  holder: PortHolder
  log: (line: string) => void
}

/** With the process that asks. */
export type Asker = World & { by: string }
