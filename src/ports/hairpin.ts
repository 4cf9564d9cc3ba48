/**
 * Lets a container behind somebody else's bridge reach its own published ports: where bridged packets pass the
 * rules (br_netfilter, as Docker and Kubernetes have it), its packet is led back to the port that it came from,
 * and a bridge sends nothing there unless that port is in hairpin mode.
 *
 * What is changed is written down first, and given back by the last who needs it. Our own bridges' ports
 * are made with it (bridge/plan/plan.ts).
 *
 * An isolated port gets nothing that came in by itself or by another isolated one, whatever its mode; there a
 * proxy serves who is on the bridge, and where there is none it is said.
 */

import type { Family } from '../model/address/address.ts'
import { record, whole } from '../model/json/shape.ts'
import { setBridgePort } from '../netlink/link/bridge-port.ts'
import { findLink, type Link } from '../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { readSysctl } from '../netns/sysctl.ts'
import { addUser, isLastUser, listResources, listUsers, removeUser, whileLocked } from '../records/records.ts'
import { readKept, writeKept } from '../records/state-files.ts'

/** What was changed. A name may be another link's by now, its index is not. */
interface Change {
  index: number
}

const SHAPE = record({ index: whole })

const KIND = 'hairpin-'
const resourceOf = (port: string): string => `${KIND}${port}`
const fileOf = (port: string): string => `hairpin/${port}.json`

/** @param user owner tag, or id of a publication. @throws NetlinkError */
export async function openHairpin(port: string, user: string): Promise<void> {
  await whileLocked(resourceOf(port), () => {
    using nl = openNetlink()
    const link = findLink(nl, { name: port })
    addUser(resourceOf(port), user)
    if (link?.port === undefined || link.port.hairpin === true) return
    writeKept(fileOf(port), { index: link.index } satisfies Change)
    setBridgePort(nl, link, { hairpin: true })
  })
}

/** Idempotent. */
export async function closeHairpin(port: string, user: string): Promise<void> {
  await whileLocked(resourceOf(port), () => {
    if (isLastUser(resourceOf(port), user)) restore(port)
    removeUser(resourceOf(port), user)
  })
}

/** Ports that are to be in hairpin mode for somebody, and are not: another has turned it off. */
export const closedHairpins = (nl: Netlink): string[] =>
  listResources(KIND)
    .map(resource => resource.slice(KIND.length))
    .filter(port => isClosed(port, findLink(nl, { name: port })))

/** The same of one. */
export const isHairpinClosed = (link: Link): boolean =>
  listUsers(resourceOf(link.name)).length > 0 && isClosed(link.name, link)

/** Puts a port that others have turned back into hairpin mode, unless nobody needs it by now. */
export async function reopenHairpin(port: string): Promise<void> {
  await whileLocked(resourceOf(port), () => {
    using nl = openNetlink()
    const link = findLink(nl, { name: port })
    if (link !== undefined && isHairpinClosed(link)) setBridgePort(nl, link, { hairpin: true })
  })
}

function isClosed(port: string, link: Link | undefined): boolean {
  if (link?.port === undefined || link.port.hairpin === true) return false
  return readKept<Change>(fileOf(port), SHAPE)?.index === link.index
}

function restore(port: string): void {
  const change = readKept<Change>(fileOf(port), SHAPE)
  if (change === undefined) return
  using nl = openNetlink()
  const link = findLink(nl, { name: port })
  if (link?.index === change.index && link.port?.hairpin) setBridgePort(nl, link, { hairpin: false })
  writeKept(fileOf(port), undefined)
}

const CALLS: Record<Family, string> = {
  4: 'net/bridge/bridge-nf-call-iptables',
  6: 'net/bridge/bridge-nf-call-ip6tables',
}

/**
 * What keeps a container on an isolated port from its own published ports, and its neighbours, where rules alone
 * lead there: a sentence; undefined where nothing does.
 */
export function isolationObstacle(families: readonly Family[]): string | undefined {
  const calls = families.map(family => CALLS[family]).filter(name => readSysctl(name) === '1')
  if (calls.length === 0) return undefined
  const settings = calls.map(name => name.replaceAll('/', '.')).join(' and ')
  return `its bridge port is isolated and ${settings} is on, so neither the container nor isolated neighbours reach the port`
}
