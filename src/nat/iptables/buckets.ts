/**
 * Our chains in parts, so that what concerns one attachment looks at few rules of others:
 *
 *     FORWARD ─▶ TSNET-FORWARD ─┬▶ TSNET-FORWARD-3e      the rules of those whose owner tag begins with 3e
 *                               ├▶ TSNET-FORWARD-a0
 *                               └▶ …                     at most 256
 *     PREROUTING, OUTPUT ─▶ TSNET-DNAT ─▶ TSNET-DNAT-90  published ports, by the first one's last two digits
 *
 * iptables reads the whole chain of each rule that it deletes or looks for, and so does the kernel's nf_tables
 * copy a whole chain that changes. Attachments that share a port share a bucket: there the order of rules says
 * who has it. Whoever comes first makes a bucket, and it goes with its last rule.
 *
 * The legacy variant reads and writes whole tables, whatever changes, and has the rules in our chains themselves.
 * So had the nft variant before, and what stands there is found there.
 */

import { type BaseChain, PORT_CHAIN, type Table } from './document.ts'

const BUCKET = /^(TSNET-[A-Z]+)-[0-9a-f]{2}$/

/** The chain of which this is a part; undefined: it is none. */
export const wholeOf = (chain: string): string | undefined => BUCKET.exec(chain)?.[1]

/** A rule as it stands where there are no buckets. */
export const flatRule = (rule: string): string => rule.replace(/^(TSNET-[A-Z]+)-[0-9a-f]{2} /, '$1 ')

const isBucket = ({ name }: BaseChain): boolean => wholeOf(name) !== undefined

/** The parts among a table's chains. */
export const bucketsOf = ({ chains }: Table): BaseChain[] => chains.filter(isBucket)

/** The tables of an owner with its rules in buckets, which stand behind the chains that lead to them. */
export const intoBuckets = (tables: readonly Table[], owner: string): Table[] =>
  tables.map(table => {
    const placed = table.rules.map(rule => place(rule, owner))
    const buckets = new Map(placed.map(({ whole, name }) => [name, bucketIn(whole, name)]))
    return {
      ...table,
      chains: [...table.chains, ...buckets.values()],
      rules: placed.map(({ name, words }) => `${name} ${words}`),
    }
  })

const bucketIn = (whole: string, name: string): BaseChain => ({
  name,
  jumps: [`${whole} -j ${name}`],
  rules: [],
})

function place(rule: string, owner: string): { whole: string; name: string; words: string } {
  const end = rule.indexOf(' ')
  const [whole, words] = [rule.slice(0, end), rule.slice(end + 1)]
  const port = whole === PORT_CHAIN ? / --dport (\d+)/.exec(words)?.[1] : undefined
  const digits = port === undefined ? owner.slice(0, 2) : (Number(port) & 0xff).toString(16).padStart(2, '0')
  return { whole, name: `${whole}-${digits}`, words }
}
