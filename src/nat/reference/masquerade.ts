/**
 * Masquerade as the reference's bridge plugin has it, so that each finds what the other made.
 *
 *     iptables   nat POSTROUTING -s IP ─▶ CNI-<hash of network and container> ─▶ to its subnet: ACCEPT
 *                                                                                not multicast: MASQUERADE
 *     nftables   inet cni_plugins_masquerade: postrouting ─▶ masq_checks: saddr IP, daddr not its subnet
 *
 * All interfaces of a container on one network share its chain; the reference empties it when the first of
 * them goes, we when the last does. An nft rule carries a comment that begins with hashes of the network and
 * of the interface and container. What is removed is looked for in both, since the backend may have been
 * another when it was made.
 */

import {
  type Cidr,
  type Family,
  familiesOf,
  familyOf,
  type Ip,
  ipOf,
  networkOf,
} from '../../model/address/address.ts'
import { chainNameOf } from '../../model/chained.ts'
import type { AttachmentKey, NatBackend } from '../../model/network.ts'
import { sha512 } from '../../model/sha512.ts'
import { everyOne } from '../../model/undo.ts'
import { transactionOf } from '../../netfilter/commands.ts'
import { type ListedRule, listRules } from '../../netfilter/list.ts'
import { hasNfTables, netfilterHere } from '../../netfilter/netfilter.ts'
import { denied, isMissing } from '../../netfilter/refusal.ts'
import { type TableRef, Transaction, tableText } from '../../netfilter/transaction.ts'
import { families } from '../iptables/run.ts'
import { chainOf, type Sheet, type TableListing, targetOf } from './reference.ts'
import { ensureSheets, removeListed, removeSheets, verifySheets } from './sheet-apply.ts'

/** Whose packets, and from which addresses; the lengths are those of their subnets. */
export interface Masquerade extends AttachmentKey {
  addresses: Cidr[]
}

const CHAIN_PREFIX = 'CNI-'
const POSTROUTING = 'POSTROUTING'
const multicast: Record<Family, string> = { 4: '224.0.0.0/4', 6: 'ff00::/8' }
const hostBits: Record<Family, number> = { 4: 32, 6: 128 }

const masqueradeChain = ({ network, containerId }: AttachmentKey): string =>
  chainNameOf(CHAIN_PREFIX, network, containerId)

// The quotes are the comment's own: `name: "net" id: "web"`.
const iptablesComment = ({ network, containerId }: AttachmentKey): string =>
  `-m comment --comment "name: \\"${network}\\" id: \\"${containerId}\\""`

const addressesIn = (addresses: readonly Cidr[], family: Family): Cidr[] =>
  addresses.filter(address => familyOf(address) === family)

/** @param filled the container has a chain already, which stays as it is but for what is missing */
function sheetOf(masquerade: Masquerade, family: Family, filled: boolean): Sheet {
  const chain = masqueradeChain(masquerade)
  const comment = iptablesComment(masquerade)
  const own = addressesIn(masquerade.addresses, family)
  const networks = [...new Set(own.map(networkOf))]
  return {
    table: 'nat',
    shared: [],
    chains: filled ? [chain] : [],
    own: filled ? [] : [chain],
    rules: [
      ...networks.map(network => `${chain} -d ${network} ${comment} -j ACCEPT`),
      `${chain} ! -d ${multicast[family]} ${comment} -j MASQUERADE`,
      ...own.map(address => `${jumpFrom(ipOf(address))} ${comment} -j ${chain}`),
    ],
  }
}

const jumpFrom = (ip: Ip): string => `${POSTROUTING} -s ${ip}/${hostBits[familyOf(ip)]}`

/** Idempotent. @throws TsnetError `missing`, `try-again`, `kernel` */
export async function installMasquerade(backend: NatBackend, masquerade: Masquerade): Promise<void> {
  if (backend === 'nftables') return installNft(masquerade)
  const what = `masquerade of container ${masquerade.containerId}`
  await everyOne(
    familiesOf(masquerade.addresses).map(family =>
      ensureSheets(family, [sheetOf(masquerade, family, false)], {
        what,
        fresh: true,
        fit: () => sheetOf(masquerade, family, true),
      }),
    ),
  )
}

/**
 * Takes an attachment's masquerade away, with whichever backend it was made and by whom. Idempotent.
 * @param addresses undefined: they are not known, so all that is masqueraded for the container goes
 * @param backend where it is known to be
 * @throws TsnetError `try-again`, `kernel`
 */
export async function withdrawMasquerade(
  key: AttachmentKey,
  addresses: Cidr[] | undefined,
  backend?: NatBackend,
): Promise<void> {
  await everyOne([
    ...(backend === 'nftables'
      ? []
      : families().map(family => withdrawFamily(key, addresses, family, backend))),
    ...(backend === 'iptables' || !hasNfTables() ? [] : [withdrawNft(hashOf(key))]),
  ])
}

async function withdrawFamily(
  key: AttachmentKey,
  addresses: Cidr[] | undefined,
  family: Family,
  backend: NatBackend | undefined,
): Promise<void> {
  const own = addresses && addressesIn(addresses, family)
  if (own !== undefined && backend !== undefined) {
    if (own.length === 0) return
    // As it was made, and nobody else in the chain: no look is needed.
    if (await removeSheets(family, [sheetOf({ ...key, addresses: own }, family, false)], true)) return
  }
  const what = `removing the masquerade of container ${key.containerId}`
  await removeListed(family, 'nat', what, there => chainLeaving(key, own, there))
}

/** The jumps of an attachment, and the chain when no other is left. */
function chainLeaving(key: AttachmentKey, own: Cidr[] | undefined, there: TableListing): string[] {
  const chain = masqueradeChain(key)
  const jumps = there.rules.filter(rule => chainOf(rule) === POSTROUTING && targetOf(rule) === chain)
  // Early versions of the reference jumped from the whole subnet.
  const sources = own?.flatMap(address => [` -s ${ipOf(address)}/`, ` -s ${networkOf(address)} `])
  const ours = jumps.filter(rule => sources?.some(from => rule.includes(from)) ?? true)
  const unused = there.chains.has(chain) && ours.length === jumps.length
  return [...ours.map(rule => `-D ${rule}`), ...(unused ? [`-F ${chain}`, `-X ${chain}`] : [])]
}

/** All that the kernel's rules lack of it, in words. */
export async function verifyMasquerade(backend: NatBackend, masquerade: Masquerade): Promise<string[]> {
  if (backend === 'nftables') return verifyNft(masquerade)
  const problems = await Promise.all(
    familiesOf(masquerade.addresses).map(family => verifySheets(family, [sheetOf(masquerade, family, true)])),
  )
  return problems.flat()
}

/**
 * Takes away the masquerade of all containers of a network that are not in a list, whoever made it.
 * Names too long for a comment are not found again in iptables.
 */
export async function collectMasquerades(
  network: string,
  valid: { containerId: string; ifname: string }[],
): Promise<void> {
  const containers = new Set(valid.map(({ containerId }) => containerId))
  const hashes = new Set(valid.map(each => hashOf({ network, ...each })))
  const what = `collecting the masquerades of network ${network}`
  await everyOne([
    ...families().map(family =>
      removeListed(family, 'nat', what, there =>
        containersIn(network, there)
          .filter(containerId => !containers.has(containerId))
          .flatMap(containerId => chainLeaving({ network, containerId, ifname: '' }, undefined, there)),
      ),
    ),
    ...(!hasNfTables() ? [] : [withdrawNft(hashOfName(network), hash => !hashes.has(hash))]),
  ])
}

/** The containers of a network that have a chain. */
function containersIn(network: string, { rules }: TableListing): string[] {
  const found = rules.flatMap(rule => {
    const [, name, containerId] =
      /^POSTROUTING .*"name: \\"([^"\\]*)\\" id: \\"([^"\\]*)\\""/.exec(rule) ?? []
    if (name !== network || containerId === undefined) return []
    return masqueradeChain({ network, containerId, ifname: '' }) === targetOf(rule) ? [containerId] : []
  })
  return [...new Set(found)]
}

const TABLE_REF: TableRef = { family: 'inet', name: 'cni_plugins_masquerade' }
const TABLE = tableText(TABLE_REF)
const CHECKS = 'masq_checks'
/** NFTNL_UDATA_COMMENT_MAXLEN. */
const COMMENT_MAX = 128

const hashOfName = (text: string): string => sha512(text).slice(0, 16)
const hashOf = ({ network, containerId, ifname }: AttachmentKey): string =>
  `${hashOfName(network)}-${hashOfName(`${ifname}:${containerId}`)}`
const commentOf = (key: AttachmentKey): string =>
  `${hashOf(key)}, net: ${key.network}, if: ${key.ifname}, id: ${key.containerId}`.slice(0, COMMENT_MAX)

async function installNft(masquerade: Masquerade): Promise<void> {
  const stale = rulesWith(hashOf(masquerade))
  const denial = transactionOf([
    `add table ${TABLE} { comment "Masquerading for plugins from github.com/containernetworking/plugins" ; }`,
    `add chain ${TABLE} ${CHECKS} { comment "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet" ; }`,
    `add chain ${TABLE} postrouting { type nat hook postrouting priority 100 ; }`,
    `flush chain ${TABLE} postrouting`,
    `add rule ${TABLE} postrouting ip daddr ${multicast[4]} return`,
    `add rule ${TABLE} postrouting ip6 daddr ${multicast[6]} return`,
    `add rule ${TABLE} postrouting goto ${CHECKS}`,
    ...stale.map(({ handle }) => `delete rule ${TABLE} ${CHECKS} handle ${handle}`),
    ...masquerade.addresses.map(address => {
      const header = familyOf(address) === 4 ? 'ip' : 'ip6'
      const match = `${header} saddr ${ipOf(address)} ${header} daddr != ${networkOf(address)}`
      return `add rule ${TABLE} ${CHECKS} ${match} masquerade comment "${commentOf(masquerade)}"`
    }),
  ]).commit(netfilterHere())
  if (denial !== undefined) throw denied(`the masquerade of container ${masquerade.containerId}`, denial)
}

async function verifyNft(masquerade: Masquerade): Promise<string[]> {
  const found = rulesWith(hashOf(masquerade)).length
  const expected = masquerade.addresses.length
  if (found === expected) return []
  return [`nftables: table ${TABLE} has ${found} of ${expected} rules of container ${masquerade.containerId}`]
}

/** The rules whose comment begins so. */
const rulesWith = (prefix: string): ListedRule[] =>
  listRules(netfilterHere(), { table: TABLE_REF, chain: CHECKS }).filter(({ comment }) =>
    comment?.startsWith(prefix),
  )

/** How often a removal is tried again when others remove the same. */
const ATTEMPTS = 10

/**
 * Deletes rules by the beginning of their comment. The table stays, as the reference leaves it: it cannot
 * be deleted on condition that nobody has put a rule into it meanwhile.
 */
async function withdrawNft(prefix: string, goes: (hash: string) => boolean = () => true): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const rules = rulesWith(prefix).filter(({ comment = '' }) => goes(comment.split(',')[0] ?? ''))
    if (rules.length === 0) return
    const tx = new Transaction()
    for (const { handle } of rules) tx.deleteRule(TABLE_REF, CHECKS, handle)
    const denial = tx.commit(netfilterHere())
    if (denial === undefined) return
    if (!isMissing(denial) || attempt === ATTEMPTS) throw denied(`removing from table ${TABLE}`, denial)
  }
}
