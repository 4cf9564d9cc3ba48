/** The firewall's rules on a host, as they are told to a reader. */

import type { Host } from '../lab/lab.ts'
import type { NatBackend } from '../model/network.ts'

/** What the backend's own tool prints; without counters and comments of the tool. */
export async function rulesOf(host: Host, backend: NatBackend): Promise<string> {
  const commands =
    backend === 'iptables'
      ? [['iptables-save'], ['ip6tables-save']]
      : [['nft', '--stateless', 'list', 'ruleset']]
  const listings = await Promise.all(commands.map(command => host.run(...command, { mayFail: true })))
  return listings
    .filter(({ code }) => code === 0)
    .map(({ stdout }) => stdout.replace(/^#.*\n/gm, '').replace(/ \[\d+:\d+\]/g, ''))
    .join('')
}
