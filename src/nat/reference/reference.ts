/**
 * Rules as the reference plugins have them, for the drop-ins that take their places: word for word, so that each
 * finds, checks and removes what the other made.
 *
 *     bridge     masquerade, mac-guard                  what leaves the network; macspoofchk
 *     portmap    hostports: -iptables, -nftables        ports of the host lead to a container
 *     firewall   firewall, firewall-rules; firewalld    what is let through
 *
 * What iptables is to hold is a sheet: what a drop-in wants of one table. sheet-apply.ts makes it so.
 *
 *     chains    are made where they are missing, and never emptied
 *     shared    rules that stand once, whoever uses them
 *     own       chains of one container: emptied and filled anew
 *     rules     of one container, in its own chains or in shared ones
 *
 * Rules are written as iptables-save prints them, so that their text finds them again. A table changes as a
 * whole or not at all: what was not as expected is looked at, and then changed. What the reference leaves out
 * for safety stands where its own removal does not stumble over it.
 */

import { restoreFile, type TableName } from '../iptables/document.ts'

export interface Sheet {
  table: TableName
  chains: string[]
  shared: SharedRule[]
  own: string[]
  /** Each begins with the name of its chain. */
  rules: string[]
  /** Shared rules that have to be added anew, since their place is no longer right. */
  moved?: string[]
}

export interface SharedRule {
  /** Begins with the name of its chain. */
  rule: string
  /** At the beginning of its chain: the last one that is added stands first. */
  first?: boolean
  /** The same in the words of other versions of the reference plugin: any of them will do. */
  also?: string[]
}

/** A shared rule in all words that it may have. */
export const wordingsOf = ({ rule, also = [] }: SharedRule): string[] => [rule, ...also]

/** A table as it is. */
export interface TableListing {
  chains: Set<string>
  /** In order, without their `-A`. */
  rules: string[]
  has: (rule: string) => boolean
}

/** Reads what iptables-save prints of one table. */
export function readTable(text: string): TableListing {
  const lines = text.split('\n')
  const rules = lines.filter(line => line.startsWith('-A ')).map(line => line.slice(3))
  const known = new Set(rules)
  return {
    chains: new Set(lines.filter(line => line.startsWith(':')).map(line => line.slice(1, line.indexOf(' ')))),
    rules,
    has: rule => known.has(rule),
  }
}

export const chainOf = (rule: string): string => rule.slice(0, rule.indexOf(' '))

/** The chain that a rule jumps to, or its verdict. */
export const targetOf = (rule: string): string => / -[jg] (\S+)/.exec(rule)?.[1] ?? ''

/** Right where all that is shared is there and nothing of the container; refused as a whole elsewhere. */
export const optimisticFile = (sheets: readonly Sheet[]): string =>
  restoreFile(
    sheets.map(({ table, shared, own, rules }) => ({
      name: table,
      lines: [
        ...shared.map(({ rule }) => `-C ${rule}`),
        ...own.map(chain => `-N ${chain}`),
        ...rules.map(rule => `-A ${rule}`),
      ],
    })),
  )

/**
 * What makes a table as it should be out of what it is.
 * @param keep rules in the container's own chains, and to them, that stay: another attachment's
 * @returns empty where nothing is missing
 */
export function completionOf(sheet: Sheet, there: TableListing, keep: readonly string[] = []): string[] {
  const { chains, shared, own, rules, moved = [] } = sheet
  const wanted = new Set([...keep.filter(there.has), ...rules])
  const isOwn = (rule: string) => own.includes(chainOf(rule)) || own.includes(targetOf(rule))
  // Their order matters: they are added all at once or not at all.
  const inOrder = rules.every(there.has) || !rules.some(there.has)
  const asWanted = inOrder && there.rules.filter(isOwn).every(rule => wanted.has(rule))
  const refilled = own.filter(chain => there.chains.has(chain) && !asWanted)
  const leadsThere = (rule: string) => refilled.includes(targetOf(rule))
  return [
    ...[...chains, ...own].filter(chain => !there.chains.has(chain)).map(chain => `-N ${chain}`),
    ...moved.map(rule => `-D ${rule}`),
    ...shared.flatMap(each => {
      const [found, ...doubles] = wordingsOf(each).filter(rule => there.has(rule) && !moved.includes(rule))
      if (found !== undefined) return doubles.map(rule => `-D ${rule}`)
      return `${each.first ? '-I' : '-A'} ${each.rule}`
    }),
    ...there.rules.filter(leadsThere).map(rule => `-D ${rule}`),
    ...refilled.map(chain => `-F ${chain}`),
    ...[...wanted]
      .filter(rule => !there.has(rule) || refilled.includes(chainOf(rule)) || leadsThere(rule))
      .map(rule => `-A ${rule}`),
  ]
}

/** Right where there is nothing of all this yet. */
export const freshFileOf = (sheets: readonly Sheet[]): string =>
  restoreFile(sheets.map(sheet => ({ name: sheet.table, lines: completionOf(sheet, readTable('')) })))

/**
 * Deletes what is one container's, by its text; refused where it is not all there.
 * @param alone nobody else uses its own chains, so they go
 */
export const removalFileOf = (sheets: readonly Sheet[], alone: boolean): string =>
  restoreFile(
    sheets.toReversed().map(({ table, own, rules }) => ({
      name: table,
      lines: [
        ...rules.filter(rule => !alone || !own.includes(chainOf(rule))).map(rule => `-D ${rule}`),
        ...(alone ? own.flatMap(chain => [`-F ${chain}`, `-X ${chain}`]) : []),
      ],
    })),
  )

/** Deletes chains with all that is in them and all that leads to them. */
export function chainRemoval(chains: readonly string[], there: TableListing): string[] {
  const gone = chains.filter(chain => there.chains.has(chain))
  return [
    ...there.rules.filter(rule => gone.includes(targetOf(rule))).map(rule => `-D ${rule}`),
    ...gone.flatMap(chain => [`-F ${chain}`, `-X ${chain}`]),
  ]
}

/** What a table lacks of a sheet. */
export const missingOf = ({ shared, rules }: Sheet, there: TableListing): string[] => [
  ...shared.filter(each => !wordingsOf(each).some(there.has)).map(({ rule }) => rule),
  ...rules.filter(rule => !there.has(rule)),
]
