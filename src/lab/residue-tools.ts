/**
 * Rules and tracked connections, as the tools print them that are there.
 */

import { readFileSync } from 'node:fs'
import { listTables } from '../netfilter/list.ts'
import { hasNfTables, netfilterHere } from '../netfilter/netfilter.ts'
import type { Place } from './place.ts'
import { kernelRules } from './residue-kernel-rules.ts'
import { counted, type Section } from './section.ts'

/** A listing, and a look at the kernel that tells whether it can have any lines. */
interface Listing {
  command: string[]
  isWorthwhile: () => boolean
}

/** The tables that an iptables of the old kind has used in the namespace of the thread. */
const legacyTables = (names: string) => () => readOr(`/proc/thread-self/net/${names}`) !== ''
/** iptables of the new kind keeps its rules in tables of nft. */
const hasNftTables = () => hasNfTables() && listTables(netfilterHere()).length > 0
const hasConnections = () => Number(readOr('/proc/sys/net/netfilter/nf_conntrack_count')) > 0

/** The commands that list iptables' rules; a machine may have any of them. */
const IPTABLES: Record<string, Listing> = {
  'iptables rule': { command: ['iptables-nft-save'], isWorthwhile: hasNftTables },
  'ip6tables rule': { command: ['ip6tables-nft-save'], isWorthwhile: hasNftTables },
  'iptables-legacy rule': {
    command: ['iptables-legacy-save'],
    isWorthwhile: legacyTables('ip_tables_names'),
  },
  'ip6tables-legacy rule': {
    command: ['ip6tables-legacy-save'],
    isWorthwhile: legacyTables('ip6_tables_names'),
  },
}

function readOr(path: string, otherwise = ''): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise // the kernel does not have it
  }
}

/** Every line of every listing under the table and chain it stands in. */
export async function rulesOf(places: readonly Place[]): Promise<Record<string, Section>> {
  const sections: Record<string, Section> = { 'nft rule': await nftRulesOf(places) }
  for (const [noun, listing] of Object.entries(IPTABLES)) {
    sections[noun] = counted(await linesOf(places, listing, qualified))
  }
  return sections
}

/** By the command, and where it is not installed as the kernel has them. */
async function nftRulesOf(places: readonly Place[]): Promise<Section> {
  const lines = places
    .filter(place => place.inside(hasNftTables))
    .map(async place => {
      const { code, stdout } = await place.run('nft', 'list', 'ruleset', { mayFail: true })
      const listing = code === 0 ? qualified(stdout) : place.inside(kernelRules)
      return listing.map(line => `${place.name} ${line}`)
    })
  return counted((await Promise.all(lines)).flat())
}

/** What a command prints, place by place; nothing where it is not installed. */
async function linesOf(
  places: readonly Place[],
  { command, isWorthwhile }: Listing,
  read: (text: string) => string[],
): Promise<string[]> {
  const lines = places
    .filter(place => place.inside(isWorthwhile))
    .map(async place => {
      const { code, stdout } = await place.run(...command, { mayFail: true })
      return code === 0 ? read(stdout).map(line => `${place.name} ${line}`) : []
    })
  return (await Promise.all(lines)).flat()
}

/** Lines with the names of the blocks around them; comments, and counters taken out. */
function qualified(listing: string): string[] {
  const blocks: string[] = []
  const lines: string[] = []
  for (const raw of listing.split('\n')) {
    const line = raw
      .replace(/^#.*/, '')
      .replace(/\[\d+:\d+\]/, '')
      .replace(/counter packets \d+ bytes \d+/, 'counter')
      .replace(/\s+expires \w+/g, '')
      .trim()
    if (line === '}' || line === 'COMMIT') blocks.pop()
    else if (line !== '') lines.push([...blocks, line.replace(/ \{$/, '')].join(' '))
    if (line.endsWith('{')) blocks.push(line.slice(0, -1).trim())
    else if (line.startsWith('*')) blocks.push(line.slice(1))
  }
  return lines.filter(line => !IDLE.test(line))
}

// iptables makes its tables and their built-in chains when it is first used and never takes them back.
// Empty they let everything pass; only what is in them, or another policy, makes a difference.
const XTABLES = '(raw|mangle|nat|filter|security)'
const IDLE = new RegExp(
  `^(\\*${XTABLES}|${XTABLES} :[A-Z]+ ACCEPT|` +
    `table ip6? ${XTABLES}( chain (PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)( type .*policy accept;)?)?)$`,
)

/** Connections that conntrack knows, without what counts down. */
export async function connectionsOf(places: readonly Place[]): Promise<Section> {
  const families = ['ipv4', 'ipv6'].map(family =>
    linesOf(places, { command: ['conntrack', '-L', '-f', family], isWorthwhile: hasConnections }, flows),
  )
  return counted((await Promise.all(families)).flat())
}

const flows = (listing: string): string[] =>
  listing.split('\n').flatMap(line => {
    const [protocol = '', , , ...rest] = line.split(/\s+/)
    return protocol === '' ? [] : [[protocol, ...rest].filter(word => !word.startsWith('use=')).join(' ')]
  })
