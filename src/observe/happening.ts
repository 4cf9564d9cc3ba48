/**
 * What happens, as plain values: what whoever listens is told, one object each, and each with the fields that it needs.
 *
 *     attach, detach          a container came to a network, or left it
 *     egress                  it may reach others than before: some of the entries, and how many there are
 *     publish, unpublish      a port of the host began to lead somewhere, or ended
 *     moved                   it leads to somebody else, or to the same container, restarted; `from` says whom it led to
 *     waiting, serving        something is in its way, or nothing is any more
 *     obstructed, cleared     rules of others drop what the kernel would lead there, or no more
 *     denied                  whom a container tried to reach that its list does not have: how many packets, and some of the entries
 *     refused, evicted        connections that were turned away, UDP clients that made room: how many, since the last look
 *     reconciled              something was taken away by others; `outcome` says whether it is back
 *     hand-over               another daemon serves from now on, and is to be asked
 *     lost                    whoever listens was too slow for so many
 */

import type { HostIp, Ip } from '../model/address/address.ts'
import { describeHostPorts, type HostPorts, type Protocol } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import {
  type Container,
  calledOf,
  type Publication,
  type PublicationEnd,
  type PublicationEvent,
  reversedTo,
} from '../model/publication/publication.ts'
import type { Found } from '../network/reconcile/reconcile.ts'
import type { PortCounts } from './counters.ts'
import { type Seen, WHAT_MAX } from './seen.ts'

export const EVENTS = [
  'attach',
  'detach',
  'egress',
  'publish',
  'unpublish',
  'moved',
  'waiting',
  'serving',
  'obstructed',
  'cleared',
  'refused',
  'evicted',
  'denied',
  'reconciled',
  'hand-over',
  'lost',
] as const
export type EventName = (typeof EVENTS)[number]

/** A container as events name it. */
export interface Named {
  id: string
  name: string
}

/** What an event says; absent is what does not belong to it. */
export interface Happening {
  /** ISO 8601. */
  time: string
  /** Of a publication; of an attachment the owner tag. */
  id?: string
  containers?: Named[]
  /** Before. */
  from?: Named[]
  network?: string
  ifname?: string
  addresses?: readonly Ip[]
  /** `8080/tcp`, as messages name it; of an attachment all that it publishes. */
  ports?: string[]
  protocol?: Protocol
  hostIp?: HostIp
  hostPort?: number
  /** It goes the other way: the port on which it appears in the container. */
  reverse?: number
  /** How many consecutive ports; of `lost`, how many events. */
  count?: number
  /** How many times. */
  number?: number
  why?: string
  /** What was taken away. */
  subject?: string
  what?: string[]
  outcome?: Found['outcome']
  /** Of the daemon that serves. */
  pid?: number
}

export interface Told {
  event: EventName
  about: Happening
}

const happened = (event: EventName, about: Omit<Happening, 'time'>): Told => ({
  event,
  about: { time: new Date().toISOString(), ...about },
})

export const ofAttachment = (event: 'attach' | 'detach', seen: Seen): Told =>
  happened(event, {
    id: seen.owner,
    containers: [namedOf(seen)],
    network: seen.network,
    ifname: seen.ifname,
    addresses: seen.addresses,
    ports: seen.ports.map(describeHostPorts),
  })

export const namedOf = ({ containerId: id, name }: Seen): Named => ({ id, name })

const ENDS: readonly string[] = ['unpublished', 'expired', 'ended'] satisfies PublicationEnd[]

const EVENT_OF: Record<Exclude<PublicationEvent, PublicationEnd>, EventName> = {
  published: 'publish',
  replaced: 'moved',
  moved: 'moved',
  waiting: 'waiting',
  serving: 'serving',
  obstructed: 'obstructed',
  cleared: 'cleared',
}

const isEnd = (event: PublicationEvent): event is PublicationEnd => ENDS.includes(event)

/** @param why of one that ends absent: the event says it */
export function ofPublication(
  event: PublicationEvent,
  { id, containers, ...publication }: Publication,
  { why, from }: { why?: string | undefined; from?: readonly Container[] } = {},
): Told {
  return happened(isEnd(event) ? 'unpublish' : EVENT_OF[event], {
    id,
    containers: containers.map(containerOf),
    ...portOf(publication),
    ...present({ reverse: reversedTo(publication) }),
    ...present({ from: from?.map(containerOf), why: isEnd(event) ? event : why }),
  })
}

const containerOf = (container: Container): Named => ({ id: container.id, name: calledOf(container) })

const portOf = ({ protocol, hostIp, hostPort, count }: HostPorts) => ({
  ports: [describeHostPorts({ protocol, hostIp, hostPort, count })],
  protocol,
  ...present({ hostIp }),
  hostPort,
  count,
})

/** A port of one attachment is served for another from now on. */
export const ofPassedOn = (
  port: HostPorts,
  from: Seen | undefined,
  to: { owner: string } & Partial<Seen>,
): Told =>
  happened('moved', {
    id: to.owner,
    ...(from && { from: [namedOf(from)] }),
    ...(to.containerId !== undefined && to.name !== undefined
      ? { containers: [{ id: to.containerId, name: to.name }] }
      : {}),
    ...portOf(port),
    ...present({ network: to.network }),
  })

/** A port that is served for others than `tsnet publish`, in words. */
export const ofHeld = (port: string, why: string | undefined): Told =>
  happened(why === undefined ? 'serving' : 'waiting', { ports: [port], ...present({ why }) })

/** @param number since the last look */
export const ofCount = (
  event: 'refused' | 'evicted',
  { id, containers, network, reverse, ...port }: PortCounts,
  number: number,
  why?: string,
): Told => happened(event, { id, containers, ...portOf(port), ...present({ network, reverse, why }), number })

/** Whom it may reach from now on. */
export const ofList = (seen: Seen): Told =>
  happened('egress', {
    id: seen.owner,
    containers: [namedOf(seen)],
    network: seen.network,
    ifname: seen.ifname,
    what: seen.list?.entries ?? ['everybody'],
    ...present({ number: seen.list?.number }),
  })

/** @param entries that would allow it */
export const ofDenied = (seen: Seen, number: number, entries: readonly string[]): Told =>
  happened('denied', {
    id: seen.owner,
    containers: [namedOf(seen)],
    network: seen.network,
    ifname: seen.ifname,
    what: entries.slice(0, WHAT_MAX),
    number,
  })

/** What was found of one subject, all with one outcome. */
export function ofFound(subject: string, found: readonly Found[]): Told {
  const [first] = found
  const { network, containerId: id, name } = first ?? {}
  const isOfOne = found.every(each => each.owner === first?.owner)
  return happened('reconciled', {
    subject,
    what: found.slice(0, WHAT_MAX).map(({ what }) => what),
    number: found.length,
    ...present({ outcome: first?.outcome, why: first?.why }),
    ...(isOfOne && id !== undefined && name !== undefined ? { containers: [{ id, name }] } : {}),
    ...(isOfOne ? present({ network }) : {}),
  })
}

export const ofHandOver = (pid: number): Told => happened('hand-over', { pid })
