/**
 * The way that answers of a container on several networks take: they leave by its default route, also those to
 * clients that were led to its address on another network. The interface of the host at which they arrive is then
 * not the one that leads back to their source, and strict reverse path filtering drops them (`rp_filter` 1, the
 * default of RHEL). There it becomes loose: the source has to be one that the host knows a way to.
 *
 *     before, written down ─▶ rp_filter 2 at that interface ─▶ given back by the last who needs it
 *
 * IPv4 only: the kernel has no such setting for IPv6. What firewalld does instead (`IPv6_rpfilter`) is a rule,
 * and what a rule drops no other lets through.
 */

import { type Family, familyOf, type Ip, ipOf } from '../model/address/address.ts'
import { messageOf } from '../model/errors.ts'
import { optional, record, text } from '../model/json/shape.ts'
import { type Address, listAddresses } from '../netlink/address.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { inside, type Netns } from '../netns/netns.ts'
import { readSysctl, writeSysctl } from '../netns/sysctl.ts'
import { addUser, isLastUser, removeUser, whileLocked } from '../records/records.ts'
import { readKept, writeKept } from '../records/state-files.ts'
import { defaultLinks } from '../runtime/network-view.ts'
import { warn } from './foreign-rules.ts'
import { interfaceTo } from './localnet.ts'

const SCOPE_GLOBAL = 0

const resourceOf = (ifname: string): string => `return-path-${ifname}`
const fileOf = (ifname: string): string => `return-path/${ifname}.json`
const settingOf = (ifname: string): string => `net/ipv4/conf/${ifname}/rp_filter`

const [STRICT, LOOSE] = ['1', '2']

/** What a container has on networks, as the host sees it. */
export interface Ways {
  addresses: Ip[]
  /** The host's interfaces at which arrives what it sends by its default routes. */
  answersBy: string[]
}

/** A container that has no network yet has nothing of this. */
export function waysOf(netns: Netns): Ways {
  const { addresses, defaults } = look(netns, () => true)
  const answersBy = ([4, 6] as const).flatMap(
    family => interfaceBehind(addresses, family, defaults[family]) ?? [],
  )
  return { addresses: addresses.map(({ address }) => ipOf(address)), answersBy: [...new Set(answersBy)] }
}

/** @param isMore false for addresses of which nothing else matters */
function look(netns: Netns, isMore: (addresses: Address[]) => boolean) {
  return inside(netns, () => {
    using nl = openNetlink()
    const addresses = listAddresses(nl).filter(({ scope }) => scope === SCOPE_GLOBAL)
    const none: Record<Family, number[]> = { 4: [], 6: [] }
    return { addresses, defaults: addresses.length > 0 && isMore(addresses) ? defaultLinks(nl) : none }
  })
}

const ofIpv4 = (addresses: readonly Address[]): Address[] =>
  addresses.filter(({ address }) => familyOf(address) === 4)

const areOnSeveralLinks = (addresses: readonly Address[]): boolean =>
  new Set(ofIpv4(addresses).map(({ index }) => index)).size > 1

/** The host's interface behind the first of a container's default routes. */
function interfaceBehind(
  addresses: readonly Address[],
  family: Family,
  [first]: readonly number[],
): string | undefined {
  const own = addresses.find(({ address, index }) => index === first && familyOf(address) === family)
  return own && interfaceTo(own.address)
}

/** The interface at which reverse path filtering would drop answers of a container; undefined where it would not. */
export function strictReturnPath(netns: Netns): string | undefined {
  const { addresses, defaults } = look(netns, areOnSeveralLinks)
  const answersBy = interfaceBehind(addresses, 4, defaults[4])
  if (answersBy === undefined) return undefined
  const reachedBy = ofIpv4(addresses).map(({ address }) => interfaceTo(address))
  const isCrooked = reachedBy.some(by => by !== undefined && by !== answersBy)
  // Who needs it first has made it loose for the next one, who needs it too.
  const isInTheWay = isStrict(answersBy) || readChange(answersBy) !== undefined
  return isCrooked && isInTheWay ? answersBy : undefined
}

/** True where answers that arrive by another way than they would leave are dropped. The kernel takes the larger of two values. */
export const isStrict = (ifname: string): boolean =>
  Math.max(...['all', ifname].map(name => Number(readSysctl(settingOf(name)) ?? 0))) === Number(STRICT)

/**
 * Where the setting cannot be written, that is only said.
 * @param user owner tag
 */
export async function loosenReturnPath(ifname: string, user: string): Promise<void> {
  await whileLocked(resourceOf(ifname), () => {
    addUser(resourceOf(ifname), user)
    if (!isStrict(ifname)) return
    writeKept(fileOf(ifname), { before: readSysctl(settingOf(ifname)) })
    try {
      writeSysctl(settingOf(ifname), LOOSE)
    } catch (thrown) {
      const effect = 'drops answers of containers on several networks there'
      warn(
        `${settingOf(ifname)} cannot be set to ${LOOSE}, and strict reverse path filtering ${effect}`,
        messageOf(thrown),
      )
    }
  })
}

/** Idempotent. */
export async function restoreReturnPath(ifname: string, user: string): Promise<void> {
  await whileLocked(resourceOf(ifname), () => {
    if (isLastUser(resourceOf(ifname), user)) restore(ifname)
    removeUser(resourceOf(ifname), user)
  })
}

const readChange = (ifname: string) =>
  readKept<{ before?: string }>(fileOf(ifname), record({ before: optional(text) }))

function restore(ifname: string): void {
  const change = readChange(ifname)
  if (change === undefined) return
  // Not what we wrote: somebody else has decided since, or it is another interface.
  if (change.before !== undefined && readSysctl(settingOf(ifname)) === LOOSE)
    writeSysctl(settingOf(ifname), change.before)
  writeKept(fileOf(ifname), undefined)
}
