/** The firewall's rules on a host, as they are told to a reader. */

import type { Host } from '../lab/lab.ts'
import type { NatBackend } from '../model/network.ts'
import { showRules } from '../nat/nat.ts'

/** What the backend's own language says, without counters and what the tools add. */
export async function rulesOf(host: Host, backend: NatBackend): Promise<string> {
  if (backend === 'nftables') return listNftables(host)
  const tools = ['iptables-save', 'ip6tables-save']
  const listings = await Promise.all(tools.map(tool => host.run(tool, { mayFail: true })))
  // Without comments, the names of chains and how each table ends.
  return listings.map(({ stdout }) => stdout.replace(/^(#.*|:.* (ACCEPT|-) .*|COMMIT)\n/gm, '')).join('')
}

/** Sets, maps and chains with nothing in them. */
const EMPTY = /^\t(set|map|chain) \S+ \{\n(\t\ttype .*\n)?\t\}\n\n?/gm

/** In nft's words, and where it is not installed in ours. */
async function listNftables(host: Host): Promise<string> {
  const { code, stdout } = await host.run('nft', 'list', 'ruleset', { mayFail: true })
  return code === 0 ? stdout.replace(EMPTY, '').replaceAll('\t', '  ') : host.inside(showRules)
}
