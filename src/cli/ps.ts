/** `tsnet ps`. */

import { ipOf } from '../model/address/address.ts'
import { describeHostPorts, portRange } from '../model/port-mapping.ts'
import { shortName } from '../model/publication/container-name.ts'
import { ATTACHED_STATES, type Attached } from '../networks/attached.ts'
import { requireRunDirectory } from '../records/run-directory.ts'
import { knownById, type Whose } from '../runtime/runtime.ts'
import { attachedHere } from './listing/attached.ts'
import { oneOf, portOf } from './listing/filter.ts'
import { type Listing, type ListOptions, printerOf } from './listing/listing.ts'
import type { Terminal } from './terminal.ts'

/** With whose it is, as far as its runtime answers. */
export interface ListedAttached extends Attached {
  runtime?: string
}

const LISTING: Listing<ListedAttached> = {
  columns: [
    { field: 'Name', head: 'CONTAINER', cell: ({ name }) => name },
    { field: 'Runtime', head: 'RUNTIME', cell: ({ runtime }) => runtime ?? '' },
    { field: 'Network', head: 'NETWORK', cell: ({ network }) => network },
    { field: 'Interface', head: 'INTERFACE', cell: ({ ifname }) => ifname },
    { field: 'Addresses', head: 'ADDRESSES', cell: ({ addresses }) => addresses.join(',') },
    { field: 'Ports', head: 'PORTS', cell: ({ ports }) => ports.map(describePort).join(',') },
    { field: 'State', head: 'STATE', cell: ({ state }) => state },
    { field: 'ID', head: 'ID', cell: ({ containerId }) => shortName(containerId) },
    { field: 'Created', head: 'CREATED', cell: ({ createdAt }) => createdAt, isShown: () => false },
    { field: 'Netns', head: 'NETNS', cell: ({ netns }) => netns, isShown: () => false },
    { field: 'Bridge', head: 'BRIDGE', cell: ({ bridge }) => bridge, isShown: () => false },
    { field: 'Owner', head: 'OWNER', cell: ({ owner }) => owner, isShown: () => false },
  ],
  filters: {
    name: value => each => each.name.includes(value),
    id: value => each => each.containerId.startsWith(value),
    runtime: value => each => each.runtime === value,
    network: value => each => each.network === value,
    interface: value => each => each.ifname === value,
    address: value => each => each.addresses.some(address => address === value || ipOf(address) === value),
    port: portOf('port', ({ ports }, port) =>
      ports.some(({ hostPort, count }) => port >= hostPort && port < hostPort + count),
    ),
    state: oneOf('state', ATTACHED_STATES, ({ state }, word) => state === word),
  },
  nameOf: ({ containerId }) => containerId,
}

/** `8080->80/tcp`. */
const describePort = (port: Attached['ports'][number]): string =>
  describeHostPorts(port).replace('/', `->${portRange(port.containerPort, port.count)}/`)

/** Lists the attachments of this host. */
export async function ps(terminal: Terminal, options: ListOptions): Promise<void> {
  const print = printerOf(LISTING, options)
  requireRunDirectory()
  const [attached, whose] = await Promise.all([
    attachedHere(terminal)(),
    asksRuntimes(options) ? knownById(undefined, PATIENCE_MS) : undefined,
  ])
  print(
    terminal,
    attached.map(each => called(each, whose?.get(each.containerId))),
  )
}

/** An id that a runtime has for a name says less than what its network calls it. */
const called = (attached: Attached, whose: Whose | undefined): ListedAttached => {
  if (whose === undefined) return attached
  const name = whose.name === attached.containerId ? attached.name : whose.name
  return { ...attached, runtime: whose.runtime, name }
}

/** Who answers, answers by then; who does not shall hold up nobody. */
const PATIENCE_MS = 500

/** Ids and addresses are known without them. */
function asksRuntimes({ quiet = false, format, filter = [] }: ListOptions): boolean {
  const isShown = !quiet && (format === undefined || /\.(Name|Runtime)\b|json/.test(format))
  return isShown || filter.some(word => /^(name|runtime)=/.test(word))
}
