/** What bridges and their ports are set to. */

import type { Host } from 'tsnet/lab'

/** Whether packets between ports of a bridge pass the rules as well, which a host without Docker does without. */
export async function bridgeNetfilter(host: Host, on: boolean): Promise<void> {
  for (const command of ['iptables', 'ip6tables'])
    await host.run('sysctl', '-qw', `net.bridge.bridge-nf-call-${command}=${on ? 1 : 0}`)
}

/** `on` or `off`. */
export async function portSetting(host: Host, port: string, setting: string): Promise<string | undefined> {
  const { stdout } = await host.run('bridge', '-d', 'link', 'show', 'dev', port)
  return new RegExp(` ${setting} (on|off) `).exec(stdout)?.[1]
}
