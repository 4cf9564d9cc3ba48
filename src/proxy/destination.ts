/**
 * Targets made ready for dialling: what they name by path is opened once, by the caller of the facade, and
 * only the descriptors go to the workers. Whoever swaps a path afterwards changes nothing.
 *
 * An open descriptor keeps a namespace alive after its container is gone; closeDestination lets go.
 */

import { constants, openSync } from 'node:fs'
import { libc } from '../ffi/ffi.ts'
import { domainOf, sockaddr } from '../ffi/sockaddr.ts'
import type { Ip } from '../model/address/address.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import { shownPath } from '../model/json/shown.ts'
import { openNetns } from '../netns/netns.ts'
import type { Target } from './publication.ts'

/** A target as workers get it. */
export type Destination = IpDestination | InsideDestination | UnixDestination

export interface IpDestination {
  kind: 'ip'
  domain: number
  /** struct sockaddr of the first port. */
  address: Uint8Array
  /** Descriptor of the namespace to dial from. */
  netns: number | undefined
}

export interface InsideDestination {
  kind: 'inside'
  /** Descriptor of the namespace. */
  netns: number
  /** As InsideTarget has them. */
  own: readonly Ip[]
  port: number
}

export interface UnixDestination {
  kind: 'unix'
  /** Descriptor of the folder that is the root of `path`. */
  root: number
  path: string
}

/** @throws TsnetError `invalid-netns`; `unknown-container` for a root that cannot be opened */
export function openDestination(target: Target): Destination {
  if ('own' in target) {
    const { netns, own, port } = target
    return { kind: 'inside', netns: openNetns(netns).fd, own, port }
  }
  if ('ip' in target) {
    return {
      kind: 'ip',
      domain: domainOf(target.ip),
      address: sockaddr(target.ip, target.port),
      netns: target.netns === undefined ? undefined : openNetns(target.netns).fd,
    }
  }
  try {
    const root = openSync(target.root, constants.O_RDONLY | constants.O_DIRECTORY)
    return { kind: 'unix', root, path: target.path }
  } catch (cause) {
    throw new TsnetError(
      'unknown-container',
      `cannot open the container's root ${shownPath(target.root)}: ${messageOf(cause)}`,
      { cause },
    )
  }
}

/** Opens all or none. @throws TsnetError as openDestination */
export function openDestinations(targets: readonly Target[]): Destination[] {
  const opened: Destination[] = []
  try {
    for (const target of targets) opened.push(openDestination(target))
    return opened
  } catch (thrown) {
    for (const destination of opened) closeDestination(destination)
    throw thrown
  }
}

export function closeDestination(destination: Destination): void {
  const fd = destination.kind === 'unix' ? destination.root : destination.netns
  if (fd !== undefined) libc.close(fd)
}
