/**
 * Every attachment of this host, as tsnet wrote it down: whoever asked for it, on whatever network.
 *
 *     files ──▶ rows ──is its namespace there?──▶ Attached
 *
 * A process that is asked again and again keeps the rows (AttachedIndex) and reads what has changed; whether a namespace
 * is there is looked at each time, and only for those that are shown.
 */

import type { Asker } from '../control/client.ts'
import type { Cidr } from '../model/address/address.ts'
import { ipOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { nameOfAttached, ownerTag, type Undertaking } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { LONG_ID } from '../model/publication/container-name.ts'
import { listRecords, type Records, readRecord } from '../records/chained.ts'
import { deadCheck } from '../records/dead.ts'
import { FolderIndex } from '../records/folder-index.ts'
import { maySpeakOf } from '../records/mention.ts'
import { ENTRIES, type Entry, mapEntries, type NamedEntry, ownerIn, readEntry } from '../records/records.ts'
import { listNames } from '../records/run-directory.ts'

export const ATTACHED_STATES = ['attached', 'attaching', 'detaching', 'dead'] as const

export interface Attached {
  /** The tag that rules, links and files of it carry. */
  owner: string
  containerId: string
  /** As its runtime calls it, or else its id. */
  name: string
  /** What else it is called on its network. */
  aliases: readonly string[]
  network: string
  ifname: string
  addresses: readonly Cidr[]
  /** Host ports, of the attachment itself or of `portmap` behind it. */
  ports: readonly PortMapping[]
  /** `dead`: its namespace is gone, or it is of before the last boot; gc, or its runtime, takes it away. */
  state: (typeof ATTACHED_STATES)[number]
  /** ISO 8601. */
  createdAt: string
  /** Path. */
  netns: string
  bridge: string
  hostInterface?: string
  mac?: string
}

/** What is written down of one, and what tells whether it lives. */
interface Row {
  attached: Attached
  made: Pick<Undertaking, 'bootId' | 'netns' | 'createdAt'>
}

interface MappedPorts {
  owner: string
  ports: PortMapping[]
}

/**
 * By network, then by name.
 * @param word absent: all; else the records that do not speak of it are not understood, which is most of the work
 */
export function listAttached(word?: string): Attached[] {
  if (word === undefined) return shownOf(mapEntries(toRow), listRecords('portmap').map(mappedPortsOf), word)
  const speaks = maySpeakOf({ texts: [word], isPort: isPort(word) })
  // Only their numbers can be what the attachment's own record does not tell.
  const mapped = isPort(word) ? listRecords('portmap').map(mappedPortsOf) : undefined
  const theirs = mapped?.filter(({ ports }) => hasPort(ports, Number(word))) ?? []
  const owners = new Set([word, ...theirs.map(({ owner }) => owner)])
  const rows = mapEntries(toRow, (text, owner) => owners.has(owner) || speaks(text))
  return shownOf(rows, mapped ?? mappedFor(rows), word)
}

const toRow = ({ owner, entry }: NamedEntry): Row => rowOf(owner, entry)

function mappedFor(rows: readonly Row[]): MappedPorts[] {
  const names = new Set(listNames('portmap'))
  const owners = rows.map(({ attached }) => attached.owner).filter(owner => names.has(`${owner}.json`))
  return owners.flatMap(owner => readRecord('portmap', owner) ?? []).map(mappedPortsOf)
}

const hasPort = (ports: readonly PortMapping[], port: number): boolean =>
  ports.some(({ hostPort, count }) => port >= hostPort && port < hostPort + count)

const isPort = (word: string): boolean => /^\d{1,5}$/.test(word)

/** The same, for a process that is asked again and again. */
export class AttachedIndex {
  readonly #rows = new FolderIndex(ENTRIES, name => {
    const owner = ownerIn(name)
    const entry = owner === undefined ? undefined : readEntry(owner)
    return owner === undefined || entry === undefined ? undefined : rowOf(owner, entry)
  })
  readonly #mapped = new FolderIndex('portmap', name => {
    const record = name.endsWith('.json') ? readRecord('portmap', name.slice(0, -'.json'.length)) : undefined
    return record && mappedPortsOf(record)
  })

  list(word?: string): Attached[] {
    return shownOf(this.#rows.list(), this.#mapped.list(), word)
  }
}

/** Then the records tell it as well. */
const WITHIN_MS = 5_000

/**
 * As the daemon tells it, which keeps what the records say.
 * @param word absent: all; else those that it may mean
 * @returns undefined where it is an earlier one, hangs, or has just ended
 */
export async function toldAttached(
  client: Pick<Asker, 'ask'> | undefined,
  word?: string,
): Promise<Attached[] | undefined> {
  try {
    return (await client?.ask('attached', { word }, WITHIN_MS)) as Attached[] | undefined
  } catch (thrown) {
    if (thrown instanceof TsnetError) return undefined
    throw thrown
  }
}

function rowOf(owner: string, { state, attachment }: Entry): Row {
  const { containerId, network, ifname, aliases, leases, ports, createdAt, netns, bridgeName, bootId } =
    attachment
  const made = 'containerInterface' in attachment ? attachment : undefined
  return {
    attached: {
      owner,
      containerId,
      name: nameOfAttached(attachment),
      aliases,
      network,
      ifname,
      addresses: leases.map(({ address }) => address),
      ports,
      state,
      createdAt,
      netns: netns.path,
      bridge: bridgeName,
      ...(made !== undefined && {
        hostInterface: made.hostInterface.name,
        mac: made.containerInterface.mac,
      }),
    },
    made: { bootId, netns, createdAt },
  }
}

const mappedPortsOf = (record: Records['portmap']): MappedPorts => ({
  owner: ownerTag(record),
  ports: record.intent.ports.map(port => ({ ...port, count: 1 })),
})

function shownOf(rows: readonly Row[], mapped: readonly MappedPorts[], word: string | undefined): Attached[] {
  const chained = new Map(mapped.map(({ owner, ports }) => [owner, ports]))
  const isDead = deadCheck({ isQuick: true })
  return rows
    .map(row => withPorts(row, chained.get(row.attached.owner)))
    .filter(({ attached }) => word === undefined || mayBe(attached, word))
    .map(({ attached, made }): Attached => (isDead(made) ? { ...attached, state: 'dead' } : attached))
    .sort((a, b) => compare(a.network, b.network) || compare(a.name, b.name) || compare(a.ifname, b.ifname))
}

const withPorts = ({ attached, made }: Row, more: readonly PortMapping[] = []): Row =>
  more.length === 0
    ? { attached, made }
    : { attached: { ...attached, ports: [...attached.ports, ...more] }, made }

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** True where a word may mean this: a name, an id or its beginning, an address, an owner tag, a network, a port. */
function mayBe(attached: Attached, word: string): boolean {
  const { name, aliases, containerId, addresses, owner, network, ports } = attached
  const port = isPort(word) ? Number(word) : 0
  return (
    [name, containerId, owner, network, ...aliases].includes(word) ||
    addresses.some(each => ipOf(each) === word) ||
    hasPort(ports, port) ||
    (LONG_ID.test(containerId) && containerId.startsWith(word))
  )
}
