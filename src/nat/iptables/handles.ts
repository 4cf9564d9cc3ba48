/**
 * What the nft variant of iptables keeps, looked at and deleted by handle, over nfnetlink.
 *
 *     known     the buckets in which an owner's rules are: a few requests, however full the host is
 *     unknown   all our chains, where not all is in them: an earlier build had no buckets, and others restore
 *               tables as they like
 *
 * A rule is an owner's by its comment, which iptables keeps in a match of xtables. Chains are read unparsed, and
 * only those rules parsed in whose bytes the tag stands. A deletion is one transaction of all tables, which the
 * kernel refuses where somebody deleted one of the rules before (ENOENT), or put one into a chain that is to go
 * (EBUSY): then it is looked again. A handle is never given twice, so what is deleted is what was looked at.
 */

import type { Family } from '../../model/address/address.ts'
import { counter, verdict } from '../../netfilter/expressions.ts'
import {
  findChain,
  type ListedRule,
  listChains,
  readRule,
  rulesAsBytes,
  targetOf,
} from '../../netfilter/list.ts'
import { hasNfTables } from '../../netfilter/netfilter.ts'
import { denied, isBusy, isMissing } from '../../netfilter/refusal.ts'
import { type TableRef, Transaction } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { hasLegacyTables, header } from '../kernel-chains.ts'
import { commentOf } from '../rules.ts'
import { bucketsOf, wholeOf } from './buckets.ts'
import { type BaseChain, baseChains, type Table, type TableName } from './document.ts'
import { chainOf } from './listing.ts'
import { iptablesVariant } from './run.ts'

/** How often a deletion is tried again when others change the same chains. */
const ATTEMPTS = 40

/** True where all that the command of iptables knows is in nf_tables. */
export const isByHandle = (family: Family): boolean =>
  !hasLegacyTables(family) && iptablesVariant(family) === 'nft' && hasNfTables()

interface Place {
  table: TableName
  chain: string
}

/** What an owner has in a chain, and how many rules others have there. */
interface Look extends Place {
  own: ListedRule[]
  others: number
}

const refOf = (family: Family, table: TableName): TableRef => ({ family: header(family), name: table })

/** The text of a rule's comment, as iptables keeps it: a match with 256 bytes. */
const commentIn = ({ expressions }: ListedRule): string | undefined => {
  const info = expressions.find(({ match }) => match?.name === 'comment')?.match?.info
  return info && Buffer.from(info).toString('latin1').split('\0', 1)[0]
}

const bufferOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, length)

/** Rules of a chain, or of a whole table, that have a text in them. */
function withText(nl: Netlink, family: Family, place: { table: TableName; chain?: string }, text: string) {
  const { table, chain } = place
  const all = rulesAsBytes(nl, { table: refOf(family, table), ...(chain !== undefined && { chain }) })
  const found = all.filter(bytes => bufferOf(bytes).includes(text)).flatMap(bytes => readRule(bytes) ?? [])
  return { found, count: all.length }
}

function lookAt(nl: Netlink, family: Family, owner: string, place: Place): Look {
  const { found, count } = withText(nl, family, place, commentOf(owner))
  const own = found.filter(rule => commentIn(rule) === commentOf(owner))
  return { ...place, own, others: count - own.length }
}

const TABLES: readonly string[] = ['nat', 'filter', 'mangle', 'raw'] satisfies TableName[]

/** All our chains, in the order in which they are emptied. */
function ourChains(nl: Netlink, family: Family): Place[] {
  const chains = listChains(nl, { family: header(family) }).filter(
    ({ table, name }) => TABLES.includes(table.name) && name.startsWith('TSNET-'),
  )
  return TABLES.flatMap(table =>
    chains
      .filter(chain => chain.table.name === table)
      .map(({ name }) => ({ table: table as TableName, chain: name })),
  )
}

const bucketPlaces = (tables: readonly Table[]): Place[] =>
  tables.flatMap(table => bucketsOf(table).map(({ name }) => ({ table: table.name, chain: name })))

const ruleCount = (tables: readonly Table[]): number =>
  tables.reduce((sum, { rules }) => sum + rules.length, 0)

/** What an owner has in the buckets of its tables; undefined where that is not as much as it should be. */
function lookAtKnown(
  nl: Netlink,
  family: Family,
  owner: string,
  tables: readonly Table[],
): Look[] | undefined {
  const looks = bucketPlaces(tables).map(place => lookAt(nl, family, owner, place))
  return looks.reduce((sum, { own }) => sum + own.length, 0) === ruleCount(tables) ? looks : undefined
}

/** True where an owner has as many rules in the buckets of its tables as it should. */
export const isCountRight = (nl: Netlink, family: Family, owner: string, tables: readonly Table[]): boolean =>
  lookAtKnown(nl, family, owner, tables) !== undefined

/** Makes the buckets of tables, each with what leads to it, as far as the chain is there that it is a part of. */
export function makeBuckets(nl: Netlink, family: Family, tables: readonly Table[]): void {
  const tx = new Transaction()
  for (const table of tables) {
    const ref = refOf(family, table.name)
    for (const { name } of bucketsOf(table)) {
      const whole = wholeOf(name) ?? ''
      if (findChain(nl, ref, name) !== undefined || findChain(nl, ref, whole) === undefined) continue
      tx.addChain(ref, { name }, { isNew: true }).addRule(ref, whole, {
        expressions: [counter, verdict('jump', name)],
      })
    }
  }
  // Whoever is refused finds out what there is when the rules are added.
  tx.commit(nl)
}

export interface Removal {
  /** What was installed, in buckets: saves looking. */
  tables?: readonly Table[]
  /** What all share goes too, as far as nobody has rules in it. */
  last: boolean
  /** FORWARD is to accept by policy again. */
  accepts: boolean
}

/**
 * Deletes all that an owner has in a family.
 * @throws TsnetError `kernel`
 */
export function removeByHandle(nl: Netlink, family: Family, owner: string, removal: Removal): void {
  for (let attempt = 1; ; attempt++) {
    const denial = removalOf(nl, family, owner, removal, attempt > 1).commit(nl)
    if (denial === undefined) return
    const isOthers = isMissing(denial) || isBusy(denial)
    if (!isOthers || attempt === ATTEMPTS) throw denied(`removing ${commentOf(owner)}`, denial)
  }
}

/** @param isBusy somebody leads to a chain that is to go, who is looked for in the whole table */
function removalOf(nl: Netlink, family: Family, owner: string, removal: Removal, isBusy: boolean) {
  const { tables, last, accepts } = removal
  const known = last || tables === undefined ? undefined : lookAtKnown(nl, family, owner, tables)
  const looks = known ?? ourChains(nl, family).map(place => lookAt(nl, family, owner, place))
  const tx = new Transaction()
  const gone = new Set<bigint>()
  const remove = (table: TableName, rules: readonly ListedRule[]) => {
    for (const { chain, handle } of rules.filter(rule => !gone.has(rule.handle))) {
      gone.add(handle)
      tx.deleteRule(refOf(family, table), chain, handle)
    }
  }
  for (const table of TABLES as TableName[]) {
    gone.clear()
    const inTable = looks.filter(look => look.table === table)
    for (const { own } of inTable) remove(table, own)
    const leaves = (chain: string, sources: readonly string[]) => {
      for (const source of isBusy ? [undefined] : sources) {
        const place = { table, ...(source !== undefined && { chain: source }) }
        remove(
          table,
          withText(nl, family, place, chain).found.filter(rule => targetOf(rule) === chain),
        )
      }
      tx.deleteChain(refOf(family, table), chain, { ifEmpty: true })
    }
    for (const { chain, own, others } of inTable) {
      const whole = wholeOf(chain)
      if (whole !== undefined && others === 0 && (last || own.length > 0)) leaves(chain, [whole])
    }
    if (!last) continue
    for (const { table: name, chain } of baseChains(family).toReversed()) {
      if (name !== table || !inTable.some(look => look.chain === chain.name)) continue
      const left = withText(nl, family, { table, chain: chain.name }, '').found.filter(
        ({ handle }) => !gone.has(handle),
      )
      if (!areShared(left, chain)) continue
      remove(table, left)
      leaves(chain.name, chain.jumps.map(chainOf))
    }
  }
  if (accepts && findChain(nl, refOf(family, 'filter'), 'FORWARD')?.policy === 'drop') {
    tx.setPolicy(refOf(family, 'filter'), 'FORWARD', 'accept')
  }
  return tx
}

/** True for no more than what all share at the beginning of a chain. */
const areShared = (left: readonly ListedRule[], { rules }: BaseChain): boolean =>
  left.length <= rules.length &&
  left.every(
    rule =>
      commentIn(rule) === undefined && rule.comment === undefined && !targetOf(rule)?.startsWith('TSNET-'),
  )

/** Everyone who has rules of a family. */
export function ownersByHandle(nl: Netlink, family: Family): string[] {
  const found = new Set<string>()
  for (const { table, chain } of ourChains(nl, family)) {
    for (const bytes of rulesAsBytes(nl, { table: refOf(family, table), chain })) {
      const owner = /tsnet:([0-9a-f]{16})\0/.exec(bufferOf(bytes).toString('latin1'))?.[1]
      if (owner === undefined || found.has(owner)) continue
      const rule = readRule(bytes)
      if (rule !== undefined && commentIn(rule) === commentOf(owner)) found.add(owner)
    }
  }
  return [...found]
}
