/** The firewall's rules on a host, as they are told to a reader. */

import { NftContext } from '../ffi/libnftables.ts'
import type { Host } from '../lab/lab.ts'
import type { NatBackend } from '../model/network.ts'

/** What the backend's own language says, without counters and what the tools add. */
export async function rulesOf(host: Host, backend: NatBackend): Promise<string> {
  if (backend === 'nftables') return host.inside(listNftables)
  const tools = ['iptables-save', 'ip6tables-save']
  const listings = await Promise.all(tools.map(tool => host.run(tool, { mayFail: true })))
  // Without comments, the names of chains and how each table ends.
  return listings.map(({ stdout }) => stdout.replace(/^(#.*|:.* (ACCEPT|-) .*|COMMIT)\n/gm, '')).join('')
}

/** Sets, maps and chains with nothing in them. */
const EMPTY = /^\t(set|map|chain) \S+ \{\n(\t\ttype .*\n)?\t\}\n\n?/gm

function listNftables(): string {
  using context = new NftContext()
  return context.run('list ruleset').output.replace(EMPTY, '').replaceAll('\t', '  ')
}
