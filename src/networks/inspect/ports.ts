/** What is published at a port of the host, by whomever; and the ports of some attachments. */

import { TsnetError } from '../../model/errors.ts'
import type { Protocol } from '../../model/port-mapping.ts'
import type { HeldPort } from '../../publish/attachment-ports.ts'
import { ListeningIn } from '../../publish/condition.ts'
import {
  attachedPorts,
  chainedPorts,
  type ListedPort,
  listPublished,
  portOfDocker,
} from '../../publish/list.ts'
import { readRecord } from '../../records/chained.ts'
import { readEntry } from '../../records/records.ts'
import { type DockerPort, dockerPorts } from '../../runtime/runtime.ts'
import type { Attached } from '../attached.ts'
import type { View } from './view.ts'

export interface InspectedPort extends ListedPort {
  type: 'port'
}

export interface PortWord {
  number: number
  protocol?: Protocol
}

/** `8080`, `8080/udp`; undefined for what is no port. */
export function tryParsePort(word: string): PortWord | undefined {
  const [, digits, protocol] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(word) ?? []
  const number = Number(digits ?? 0)
  if (number < 1 || number > 65_535) return undefined
  return { number, ...(protocol !== undefined && { protocol: protocol as Protocol }) }
}

/** @param rows attachments that may have it */
export async function portsAt(
  { number, protocol }: PortWord,
  rows: readonly Attached[],
  view: View,
): Promise<InspectedPort[]> {
  const { published, held } = await view.ports({ texts: [String(number)], isPort: true })
  const isIt = (port: { hostPort: number; count: number; protocol: string }) =>
    number >= port.hostPort &&
    number < port.hostPort + port.count &&
    (protocol === undefined || protocol === port.protocol)
  const owners = rows.filter(({ ports }) => ports.some(isIt)).map(({ owner }) => owner)
  const all = [
    ...listPublished(published.filter(isIt), view.hasDaemon),
    ...portsOf(owners, held).filter(isIt),
    ...(await portsOfDocker(held, isIt)),
  ]
  return all.map(each => ({ type: 'port', ...each }))
}

/** Of attachments, by their owner tags; nobody else's records are read. @param name what their container is called */
export function portsOf(owners: readonly string[], held: readonly HeldPort[], name?: string): ListedPort[] {
  const listening = new ListeningIn()
  const named = (recorded: string) => name ?? recorded
  const entries = owners.flatMap(owner => {
    const entry = readEntry(owner)
    return entry === undefined ? [] : [{ owner, entry }]
  })
  const records = owners.flatMap(owner => readRecord('portmap', owner) ?? [])
  const byId = new Map(held.map(each => [each.id, each]))
  return [...attachedPorts(entries, byId, named, listening), ...chainedPorts(records, named, listening)]
}

/** Those of dockerd's that are wanted. One that does not answer has none that could be told. */
export async function portsOfDocker(
  held: readonly HeldPort[],
  isWanted: (port: DockerPort) => boolean,
): Promise<ListedPort[]> {
  const listening = new ListeningIn()
  const ports = await dockerPorts().catch((thrown: unknown): DockerPort[] => {
    if (thrown instanceof TsnetError) return []
    throw thrown
  })
  return ports.filter(isWanted).map(each => portOfDocker(each, held, listening))
}
