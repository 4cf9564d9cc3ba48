/** All that checks look at, as far as it concerns whom they are asked about: read once, and changed by nobody. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type ControlClient, connectControl } from '../control/client.ts'
import { hasCode, messageOf } from '../model/errors.ts'
import { type Attachment, nameOfAttached } from '../model/network.ts'
import { sameNamespace } from '../netns/netns.ts'
import { type Found as Lacking, reconcile } from '../network/reconcile/reconcile.ts'
import { type Host, hostOf, listInfos, type NetworkInfo } from '../networks/networks.ts'
import type { HeldPort } from '../publish/attachment-ports.ts'
import { type ListedPort, listOthers, listPublished, publishedHere } from '../publish/list.ts'
import type { Served } from '../publish/publish.ts'
import { listEntries } from '../records/records.ts'
import { type Subject, subjectOf } from './subject.ts'

/** An attachment that is complete. */
export interface Attached {
  owner: string
  attachment: Attachment
}

/** What a daemon says of itself. */
export type DaemonView =
  | { kind: 'none' }
  /** It runs, and does not answer. */
  | { kind: 'silent'; why: string }
  /** Without a version: one that cannot tell it, so an earlier one. */
  | { kind: 'running'; version?: string; pid?: number; troubles?: Trouble[]; client: ControlClient }

/** A line of its log. */
export interface Trouble {
  /** ISO 8601. */
  at: string
  what: string
}

export interface Patient extends Disposable {
  subject: Subject
  host: Host
  daemon: DaemonView
  attached: Attached[]
  published: Served[]
  /** Of everybody, as `tsnet ports --all` lists them. */
  ports: ListedPort[]
  networks: NetworkInfo[]
  /** What is not as our records have it. */
  lacking: Lacking[]
}

/** @param word as it was given; absent: the whole host */
export async function patientOf(word: string | undefined, env: NodeJS.ProcessEnv): Promise<Patient> {
  const host = hostOf(env)
  const infos = listInfos(host)
  const all = attachedHere()
  const named = [...infos.map(({ name }) => name), ...all.map(({ attachment }) => attachment.network)]
  const subject = await subjectOf(word, named)
  const daemon = await viewOfDaemon()
  const client = daemon.kind === 'running' ? daemon.client : undefined
  const published = client === undefined ? publishedHere() : ((await client.ask('ports')) as Served[])
  const held = ((await client?.ask('held')) ?? []) as HeldPort[]
  const ports = [...listPublished(published, client !== undefined), ...(await listOthers(held, () => {}))]
  const attached = all.filter(each => concernsAttached(subject, each))
  const inNetwork = new Set(attached.map(({ attachment }) => attachment.network))
  const owners = new Set(attached.map(({ owner }) => owner))
  const bridges = new Set(attached.map(({ attachment }) => attachment.bridgeName))
  return {
    subject,
    host,
    daemon,
    attached,
    published: published.filter(each => concernsPublished(subject, each, bridges)),
    ports: ports.filter(each => concernsPort(subject, each, published)),
    networks: infos.filter(
      ({ name }) => subject.kind === 'host' || nameOf(subject) === name || inNetwork.has(name),
    ),
    lacking: (await lackingHere(client !== undefined)).filter(
      ({ owner, subject: part }) =>
        subject.kind === 'host' ||
        (owner !== undefined
          ? owners.has(owner) || published.some(({ id }) => id === owner)
          : isShared(part)),
    ),
    [Symbol.dispose]: () => client?.[Symbol.dispose](),
  }
}

const isShared = (part: string): boolean => !part.startsWith('bridge ')

const nameOf = (subject: Subject): string | undefined =>
  subject.kind === 'network' ? subject.network : undefined

/** As people know it: `web (front eth0)`. */
export const called = ({ attachment }: Attached): string =>
  `${nameOfAttached(attachment)} (${attachment.network} ${attachment.ifname})`

const attachedHere = (): Attached[] =>
  listEntries().flatMap(({ owner, entry }) =>
    entry.state === 'attached' ? [{ owner, attachment: entry.attachment }] : [],
  )

/** A daemon puts back what was taken a moment ago: what is lacking then is what it cannot. */
const LOOKS = 4
const BETWEEN_MS = 750

async function lackingHere(hasDaemon: boolean): Promise<Lacking[]> {
  let lacking = await reconcile({ isDry: true })
  for (let look = 1; hasDaemon && lacking.length > 0 && look < LOOKS; look++) {
    await sleep(BETWEEN_MS)
    lacking = await reconcile({ isDry: true })
  }
  return lacking
}

/** How long a daemon has to say who it is. */
const HELLO_WITHIN_MS = 3_000

async function viewOfDaemon(): Promise<DaemonView> {
  let client: ControlClient | undefined
  try {
    client = await connectControl()
    if (client === undefined) return { kind: 'none' }
    client.mustAnswer()
    const said = (await client.ask('about', undefined, HELLO_WITHIN_MS)) as {
      version: string
      pid: number
      troubles?: Trouble[]
    }
    return { kind: 'running', ...said, client }
  } catch (thrown) {
    // An earlier one does not know the question.
    if (client !== undefined && hasCode(thrown, 'unsupported-field')) return { kind: 'running', client }
    client?.[Symbol.dispose]()
    return { kind: 'silent', why: messageOf(thrown) }
  }
}

function concernsAttached(subject: Subject, { attachment }: Attached): boolean {
  switch (subject.kind) {
    case 'host':
      return true
    case 'network':
      return attachment.network === subject.network
    case 'container':
      return sameNamespace(attachment.netns, subject.netns)
    case 'port':
      return attachment.ports.some(each => hasPort(subject, each))
  }
}

function concernsPublished(subject: Subject, served: Served, bridges: ReadonlySet<string>): boolean {
  switch (subject.kind) {
    case 'host':
      return true
    case 'network':
      return served.containers.some(({ bridge }) => bridge !== undefined && bridges.has(bridge))
    case 'container':
      return served.containers.some(({ netns }) => sameNamespace(netns, subject.netns))
    case 'port':
      return hasPort(subject, served)
  }
}

function concernsPort(subject: Subject, listed: ListedPort, published: readonly Served[]): boolean {
  if (subject.kind === 'host') return true
  if (subject.kind === 'port') return hasPort(subject, listed)
  if (subject.kind === 'network') return listed.network === subject.network
  const ids = attachedHere().filter(each => concernsAttached(subject, each))
  return (
    ids.some(({ attachment }) => listed.containers.some(({ id }) => id === attachment.containerId)) ||
    published.some(each => each.id === listed.id && concernsPublished(subject, each, new Set()))
  )
}

const hasPort = (
  { port, protocol }: Subject & { kind: 'port' },
  of: { hostPort: number; count: number; protocol: string },
): boolean =>
  port >= of.hostPort && port < of.hostPort + of.count && (protocol === undefined || protocol === of.protocol)
