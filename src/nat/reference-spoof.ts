/**
 * The guard of the reference's bridge plugin against spoofing (macspoofchk): a container sends with its own
 * link-layer address, or not at all.
 *
 *     bridge nat: PREROUTING (iifname HOST-END) ─▶ cni-br-iface-ID ─▶ cni-br-iface-ID-mac: its MAC, or drop
 *
 * ID is the container's id and the interface. Table and PREROUTING may be somebody else's, such as
 * libvirt's, and stay. The role `tsnet` has a guard of its own, which looks at addresses too (spoof.ts).
 */

import { TsnetError } from '../model/errors.ts'
import { parseInterfaceName } from '../model/interface-name.ts'
import type { AttachmentKey } from '../model/network.ts'
import { listedChains, listedRules } from './nft-listing.ts'
import { findNft, isMissing, missingNft, nftError, runNft } from './nft-run.ts'

const TABLE = 'bridge nat'
const BASE = 'PREROUTING'
/** NFTNL_UDATA_COMMENT_MAXLEN. */
const COMMENT_MAX = 128

export interface MacGuard extends AttachmentKey {
  /** The host's end of the container's veth. */
  hostInterface: string
  /** The container's link-layer address. */
  mac: string
}

const namesOf = ({ containerId, ifname }: Pick<AttachmentKey, 'containerId' | 'ifname'>) => {
  const chain = `cni-br-iface-${containerId}-${ifname}`
  return {
    chain,
    macChain: `${chain}-mac`,
    comment: `macspoofchk-${containerId}-${ifname}`.slice(0, COMMENT_MAX),
  }
}

/** @throws TsnetError `missing` where the guard could not be installed */
export function requireMacGuard(): void {
  if (findNft() === undefined) throw missingNft()
}

/**
 * Installs a guard in one transaction, in place of what the same attachment had.
 * @throws TsnetError `missing`, `kernel`
 */
export async function installMacGuard(guard: MacGuard): Promise<void> {
  const { mac } = guard
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac)) {
    throw new TsnetError('invalid-config', `mac: ${JSON.stringify(mac)} is not a link-layer address`)
  }
  const device = parseInterfaceName(guard.hostInterface, 'hostInterface')
  const { chain, macChain, comment } = namesOf(guard)
  const rule = (to: string, words: string) => `add rule ${TABLE} ${to} ${words} comment "${comment}"`
  const result = await runNft([
    `add table ${TABLE}`,
    `add chain ${TABLE} ${BASE} { type filter hook prerouting priority -300 ; policy accept ; }`,
    `add chain ${TABLE} ${chain}`,
    `add chain ${TABLE} ${macChain}`,
    `flush chain ${TABLE} ${chain}`,
    `flush chain ${TABLE} ${macChain}`,
    ...(await jumpsTo(guard)).map(handle => `delete rule ${TABLE} ${BASE} handle ${handle}`),
    rule(BASE, `iifname "${device}" jump ${chain}`),
    rule(chain, `jump ${macChain}`),
    rule(macChain, `ether saddr ${mac} return`),
    rule(macChain, 'drop'),
  ])
  if (!result.ok) throw nftError(`the spoof guard of ${device}`, result)
}

/** Handles of the rules by which packets come to a guard. */
async function jumpsTo(key: Pick<AttachmentKey, 'containerId' | 'ifname'>): Promise<number[]> {
  const listing = await runNft([`list chain ${TABLE} ${BASE}`], { json: true })
  if (isMissing(listing)) return []
  if (!listing.ok) throw nftError(`listing table ${TABLE}`, listing)
  const { chain } = namesOf(key)
  return listedRules(listing).flatMap(({ target, handle }) => (target === chain ? [handle] : []))
}

/** How often a removal is tried again when others remove the same. */
const ATTEMPTS = 10

/** Removes a guard, whoever made it. Idempotent. @throws TsnetError `kernel` */
export async function withdrawMacGuard(key: Pick<AttachmentKey, 'containerId' | 'ifname'>): Promise<void> {
  if (findNft() === undefined) return
  const { chain, macChain } = namesOf(key)
  for (let attempt = 1; ; attempt++) {
    const there = await chainsThere()
    const jumps = await jumpsTo(key)
    const chains = [chain, macChain].filter(name => there.includes(name))
    if (jumps.length === 0 && chains.length === 0) return
    const result = await runNft([
      ...jumps.map(handle => `delete rule ${TABLE} ${BASE} handle ${handle}`),
      ...chains.map(name => `flush chain ${TABLE} ${name}`),
      ...chains.map(name => `delete chain ${TABLE} ${name}`),
    ])
    if (result.ok) return
    if (!isMissing(result) || attempt === ATTEMPTS) throw nftError(`removing the guard ${chain}`, result)
  }
}

async function chainsThere(): Promise<string[]> {
  const listing = await runNft(['list chains bridge'], { json: true })
  if (!listing.ok) throw nftError('listing chains', listing)
  return listedChains(listing)
    .filter(({ table }) => table === 'nat')
    .map(({ name }) => name)
}

/** What differs from an installed guard, in words. */
export async function verifyMacGuard(key: AttachmentKey): Promise<string[]> {
  const { chain, macChain } = namesOf(key)
  const there = findNft() === undefined ? [] : await chainsThere()
  if (![chain, macChain].every(name => there.includes(name))) return [`there is no spoof guard ${chain}`]
  return (await jumpsTo(key)).length > 0 ? [] : [`nothing leads to the spoof guard ${chain}`]
}
