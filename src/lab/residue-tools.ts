/**
 * Rules and tracked connections, as libnftables and the tools print them that are there.
 */

import { hasLibnftables, NftContext } from '../ffi/libnftables.ts'
import type { Place } from './place.ts'
import { counted, type Section } from './section.ts'

/** The commands that list iptables' rules; a machine may have any of them. */
const LISTINGS: Record<string, string[]> = {
  'iptables rule': ['iptables-nft-save'],
  'ip6tables rule': ['ip6tables-nft-save'],
  'iptables-legacy rule': ['iptables-legacy-save'],
  'ip6tables-legacy rule': ['ip6tables-legacy-save'],
}

/** Every line of every listing under the table and chain it stands in. */
export async function rulesOf(places: readonly Place[]): Promise<Record<string, Section>> {
  const sections: Record<string, Section> = { 'nft rule': await nftRulesOf(places) }
  for (const [noun, command] of Object.entries(LISTINGS)) {
    sections[noun] = counted(await linesOf(places, command, qualified))
  }
  return sections
}

/** By the library, which is there more often than the command. */
async function nftRulesOf(places: readonly Place[]): Promise<Section> {
  if (!hasLibnftables()) return counted(await linesOf(places, ['nft', 'list', 'ruleset'], qualified))
  const lines = places.flatMap(place => {
    const listing = place.inside(() => {
      using context = new NftContext()
      return context.run('list ruleset').output
    })
    return qualified(listing).map(line => `${place.name} ${line}`)
  })
  return counted(lines)
}

/** What a command prints, place by place; nothing where it is not installed. */
async function linesOf(places: readonly Place[], command: string[], read: (text: string) => string[]) {
  const lines = places.map(async place => {
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
  const families = ['ipv4', 'ipv6'].map(family => linesOf(places, ['conntrack', '-L', '-f', family], flows))
  return counted((await Promise.all(families)).flat())
}

const flows = (listing: string): string[] =>
  listing.split('\n').flatMap(line => {
    const [protocol = '', , , ...rest] = line.split(/\s+/)
    return protocol === '' ? [] : [[protocol, ...rest].filter(word => !word.startsWith('use=')).join(' ')]
  })
