/**
 * What the newest reference plugins write, as text, for hosts whose reference plugins are older: 1.9.1, seen
 * beside ours, and main of 2026 where it says so.
 */

import { spawnSync } from 'node:child_process'
import { addresses } from './nat-site.ts'
import { REFERENCE } from './plugins.ts'

/** True where the reference plugins that are installed speak 1.1.0 of the specification, so are 1.7 or newer. */
export const isReferenceNew = (): boolean => {
  const env = { CNI_COMMAND: 'VERSION' }
  return /"1\.1\.0"/.test(spawnSync(`${REFERENCE}/bridge`, { env, encoding: 'utf8' }).stdout)
}

type Policy = 'same-bridge' | 'isolated'

/** `iptables-restore --noflush` for the container `web` on br1, as firewall 1.9.1 leaves the filter table of a family. */
export function firewallTable(policy: Policy, family: 4 | 6): string {
  const ip = `${addresses.web[family]}/${family === 4 ? 32 : 128}`
  const words = (text: string) => `-m comment --comment "CNI firewall plugin ${text}"`
  const both = words('rules (ingressPolicy: same-bridge|isolated)')
  const own = words(`rules (ingressPolicy: ${policy})`)
  return [
    '*filter',
    ...['CNI-FORWARD', 'CNI-ADMIN', 'CNI-ISOLATION-STAGE-1', 'CNI-ISOLATION-STAGE-2'].map(
      chain => `:${chain} - [0:0]`,
    ),
    `-A FORWARD ${both} -j CNI-ISOLATION-STAGE-1`,
    `-A FORWARD ${words('rules')} -j CNI-FORWARD`,
    `-A CNI-FORWARD ${words('admin overrides')} -j CNI-ADMIN`,
    `-A CNI-FORWARD -d ${ip} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    `-A CNI-FORWARD -s ${ip} -j ACCEPT`,
    ...(policy === 'isolated' ? [`-A CNI-ISOLATION-STAGE-1 -i br1 -o br1 ${own} -j DROP`] : []),
    `-A CNI-ISOLATION-STAGE-1 -i br1 ! -o br1 ${own} -j CNI-ISOLATION-STAGE-2`,
    `-A CNI-ISOLATION-STAGE-1 ${both} -j RETURN`,
    `-A CNI-ISOLATION-STAGE-2 -o br1 ${both} -j DROP`,
    `-A CNI-ISOLATION-STAGE-2 ${both} -j RETURN`,
    'COMMIT',
    '',
  ].join('\n')
}

export interface PortTable {
  family: 4 | 6
  /** The conditions of the list, which 1.9.1 has before its jumps. */
  conditions?: string
  /** What is masqueraded: 1.9.1 knows no `masqAll`, and writes the same with it. */
  snat?: 'none' | 'own' | 'all'
}

/** For `nft -f`: port 8080 and, at an address of the host, 8081 of the container `web`, as portmap 1.9.1 has it. */
export function portTable({ family, conditions = '', snat = 'own' }: PortTable): string {
  const ip = family === 4 ? 'ip' : 'ip6'
  const web = addresses.web[family]
  const target = family === 4 ? web : `[${web}]`
  const leads = `${conditions} fib daddr type local jump hostports_all`
  const sources =
    snat === 'all' ? [''] : [web, ...(family === 4 ? ['127.0.0.1'] : [])].map(each => `${ip} saddr ${each} `)
  return `table ${ip} cni_hostport {
    comment "CNI portmap plugin"
    chain hostports {
      tcp dport 8080 dnat to ${target}:80 comment "web"
      ${ip} daddr ${addresses.lan[family]} tcp dport 8081 dnat to ${target}:80 comment "web"
    }
    chain hostip_hostports { }
    chain hostports_all { jump hostip_hostports; jump hostports; }
    chain prerouting { type nat hook prerouting priority dstnat; ${leads}; }
    chain output { type nat hook output priority -100; ${leads}; }
    ${snat === 'none' ? '' : 'chain masquerading { type nat hook postrouting priority srcnat; }'}
  }
  ${(snat === 'none' ? [] : sources).map(source => `add rule ${ip} cni_hostport masquerading ${source}${ip} daddr ${web} masquerade comment "web"`).join('\n')}
  `
}
