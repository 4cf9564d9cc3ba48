/** `tsnet egress`: whom a container may reach, reached, and was denied. */

import { REACHED_OUTCOMES, type Reached, reachedBy } from '../../network/reached.ts'
import { membersOf } from '../../networks/inspect/members.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import { oneOf } from '../listing/filter.ts'
import { type Listing, type ListOptions, printerOf } from '../listing/listing.ts'
import type { Terminal } from '../terminal.ts'

const LISTING: Listing<Reached> = {
  columns: [
    { field: 'Outcome', head: 'OUTCOME', cell: ({ outcome }) => outcome },
    { field: 'Entry', head: 'ENTRY', cell: ({ entry }) => entry },
    { field: 'Packets', head: 'PACKETS', cell: countOf },
    { field: 'Last', head: 'LAST', cell: ({ last }) => last ?? '' },
    { field: 'Network', head: 'NETWORK', cell: ({ network }) => network },
    { field: 'Interface', head: 'INTERFACE', cell: ({ ifname }) => ifname },
    { field: 'Protocol', head: 'PROTOCOL', cell: ({ protocol = '' }) => protocol, isShown: hasOthers },
    { field: 'Name', head: 'CONTAINER', cell: ({ name }) => name, isShown: () => false },
    { field: 'ID', head: 'ID', cell: ({ containerId }) => containerId, isShown: () => false },
    { field: 'Owner', head: 'OWNER', cell: ({ owner }) => owner, isShown: () => false },
  ],
  filters: {
    outcome: oneOf('outcome', REACHED_OUTCOMES, ({ outcome }, word) => outcome === word),
    used: oneOf('used', ['yes', 'no'], ({ packets }, word) => packets > 0 === (word === 'yes')),
    network: value => each => each.network === value,
    interface: value => each => each.ifname === value,
  },
  nameOf: ({ entry }) => entry,
}

/** Nobody counts for those that may reach everybody. */
function countOf({ outcome, packets, isShared }: Reached): string {
  if (outcome === 'open') return ''
  return isShared === true ? `${packets} (shared)` : String(packets)
}

/** What an entry cannot say. */
function hasOthers(all: readonly Reached[]): boolean {
  return all.some(({ protocol, port }) => protocol !== undefined && port === undefined)
}

/** Lists it for each interface of the container. */
export async function egress(terminal: Terminal, word: string, options: ListOptions): Promise<void> {
  const print = printerOf(LISTING, options)
  requireRunDirectory()
  print(terminal, (await membersOf(word)).flatMap(reachedBy))
}
