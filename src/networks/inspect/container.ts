/** A container: its interfaces on networks of tsnet, what is published for it, and what of that is not as it should be. */

import { join } from 'node:path'
import { ipOf } from '../../model/address/address.ts'
import { messageOf, TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import type {
  Attachment,
  Bandwidth,
  Dns,
  Interface,
  NamespaceId,
  Route,
  Undertaking,
} from '../../model/network.ts'
import { type Present, present } from '../../model/present.ts'
import { LONG_ID, shortName } from '../../model/publication/container-name.ts'
import type { Container } from '../../model/publication/publication.ts'
import { sameNamespace } from '../../netns/netns.ts'
import { faultsOf } from '../../network/network.ts'
import { resolversOf } from '../../network/plan.ts'
import { type ListedPort, listPublished } from '../../publish/list.ts'
import { resolve } from '../../publish/resolve.ts'
import { readEntry } from '../../records/records.ts'
import { knownById } from '../../runtime/runtime.ts'
import type { Attached } from '../attached.ts'
import { portsOf, portsOfDocker } from './ports.ts'
import type { Ports, View } from './view.ts'

/** One interface on one network. */
export interface AttachmentView {
  owner: string
  network: string
  state: Attached['state']
  /** ISO 8601. */
  createdAt: string
  interface: { name: string } & Partial<Interface>
  addresses: {
    address: string
    gateway?: string
    /** The file that says whose it is; absent where another plugin gave it. */
    lease?: string
  }[]
  routes: readonly Route[]
  hostInterface?: Interface
  bridge: { name: string } & Partial<Interface>
  netns: { path: string } & NamespaceId
  /** What it is called on its network; with `domain` where names are told there. */
  names: readonly string[]
  domain?: string
  /** Whom it asks for names. */
  nameservers: readonly string[]
  bandwidth?: Bandwidth
  /** Who has its rules; absent where it needs none. */
  rules?: 'iptables' | 'nftables'
  /** What is not as it was made, a sentence each, as CHECK says it. */
  faults: string[]
}

export interface InspectedContainer {
  type: 'container'
  name: string
  id: string
  runtime?: string
  pid?: number
  attachments: AttachmentView[]
  /** Addresses on networks of others. */
  otherAddresses?: readonly string[]
  ports: ListedPort[]
}

/** Those of the one container that a word means. @throws TsnetError `invalid-environment`: several are called so */
export function meantBy(word: string, rows: readonly Attached[]): Attached[] {
  const called = (how: 'by name' | 'by beginning') => rows.filter(each => isCalled(each, word) === how)
  const whole = called('by name')
  const meant = whole.length > 0 ? whole : called('by beginning')
  const ids = new Set(meant.map(({ containerId }) => containerId))
  if (ids.size <= 1) return meant
  const names = meant.map(({ containerId, network }) => `${shortName(containerId)} (on ${network})`)
  throw new TsnetError(
    'invalid-environment',
    `${shown(word)} is what several containers are called: ${[...new Set(names)].join(', ')}; say which by its id`,
  )
}

/** How a word means an attachment's container. */
function isCalled(row: Attached, word: string): 'by name' | 'by beginning' | undefined {
  const { name, aliases, containerId, addresses, owner } = row
  const words: readonly string[] = [name, containerId, owner, ...aliases, ...addresses.map(ipOf)]
  if (words.includes(word)) return 'by name'
  return LONG_ID.test(containerId) && containerId.startsWith(word) ? 'by beginning' : undefined
}

/** Runtimes that do not answer in time are not waited for. */
const PATIENCE_MS = 500

/** @param rows those of one container that were found, one at least; it may have more */
export async function containerOf(rows: readonly Attached[], view: View): Promise<InspectedContainer> {
  const [{ containerId: id, name: recorded } = { containerId: '', name: '' }] = rows
  const all = (await view.attached(id)).filter(({ containerId }) => containerId === id)
  const whose = (await knownById(undefined, PATIENCE_MS)).get(id)
  const name = whose === undefined || whose.name === id ? recorded : whose.name
  const attachments: AttachmentView[] = []
  for (const row of all) {
    const entry = readEntry(row.owner)
    if (entry !== undefined) attachments.push(await viewOf(row, entry.attachment))
  }
  const homes = attachments.map(({ netns }) => netns)
  const ports = await view.ports({ texts: [id, ...homes.map(({ ino }) => String(ino))] })
  return {
    type: 'container',
    name,
    id,
    ...(whose !== undefined && { runtime: whose.runtime }),
    attachments,
    ports: [
      ...portsOf(
        all.map(({ owner }) => owner),
        ports.held,
        name,
      ),
      ...publishedFor(
        ports,
        view,
        each => each.id === id || homes.some(home => sameNamespace(home, each.netns)),
      ),
    ],
  }
}

/** One that tsnet put on no network, of any runtime. @throws TsnetError as publish/resolve.ts */
export async function strangerOf(word: string, view: View): Promise<InspectedContainer> {
  const { id, name, runtime, pid, addresses, otherAddresses = [], netns } = await resolve(word)
  const ports = await view.ports({ texts: [id, String(netns.ino)] })
  return {
    type: 'container',
    name,
    id,
    runtime,
    ...present({ pid }),
    attachments: [],
    otherAddresses: [...addresses, ...otherAddresses],
    ports: [
      ...publishedFor(ports, view, each => each.id === id || sameNamespace(each.netns, netns)),
      ...(runtime === 'docker' ? await portsOfDocker(ports.held, port => port.id === id) : []),
    ],
  }
}

const publishedFor = (
  { published }: Ports,
  { hasDaemon }: View,
  isIt: (container: Container) => boolean,
): ListedPort[] =>
  listPublished(
    published.filter(({ containers }) => containers.some(isIt)),
    hasDaemon,
  )

async function viewOf(
  { owner, network, state, createdAt }: Attached,
  attachment: Undertaking | Attachment,
): Promise<AttachmentView> {
  const { ifname, leases, bridgeName, netns, aliases, containerId, ipam, names, nat } = attachment
  const made = 'containerInterface' in attachment ? attachment : undefined
  const folder = ipam.kind === 'host-local' ? join(ipam.dataDir, network) : undefined
  return present({
    owner,
    network,
    state,
    createdAt,
    interface: { ...made?.containerInterface, name: ifname },
    addresses: leases.map(({ address, gateway }) =>
      present({ address, gateway, lease: folder && join(folder, ipOf(address)) }),
    ),
    routes: made?.routes ?? [],
    hostInterface: made?.hostInterface,
    bridge: { ...made?.bridge, name: bridgeName },
    netns,
    names: [...new Set([...aliases.toReversed(), shortName(containerId)])],
    domain: names?.domain,
    nameservers: serversOf(made?.dns, names && resolversOf(leases)),
    bandwidth: attachment.bandwidth,
    rules: nat?.backend ?? attachment.dropIn?.masquerade,
    faults: state === 'attached' && made !== undefined ? await faultsIn(made) : [],
  }) satisfies Present<object> as AttachmentView
}

const serversOf = (dns: Dns | undefined, ours: readonly string[] | undefined): readonly string[] =>
  ours ?? dns?.nameservers ?? []

/** What keeps us from looking is what is wrong, then. */
async function faultsIn(attachment: Attachment): Promise<string[]> {
  try {
    return await faultsOf(attachment)
  } catch (thrown) {
    return [`it cannot be looked at: ${messageOf(thrown)}`]
  }
}
