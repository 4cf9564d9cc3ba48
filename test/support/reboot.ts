/** A host of the lab is started again: what is not on a disk is gone. */

import { randomUUID } from 'node:crypto'
import { type Host, waitFor } from 'tsnet/lab'

export const BOOT_ID = '/run/boot-id'

/** Ends what runs of ours, whoever started it. */
export async function endProcesses(host: Host): Promise<void> {
  // One may just be starting another.
  const areGone = async () => {
    const ours = host.processes().filter(({ command }) => /tsnet|tables/.test(command))
    for (const { pid } of ours) await host.run('kill', '-KILL', `${pid}`, { mayFail: true })
    return ours.length === 0
  }
  await waitFor(areGone, { what: 'the end of all processes' })
}

/** Links, rules, connections, settings and the run directory go; processes and namespaces are the caller's. */
export async function powerCycle(host: Host): Promise<void> {
  await host.run('sh', '-ec', POWER_CYCLE)
  await drawBootId(host)
}

/** Another boot of the same kernel. */
export async function drawBootId(host: Host): Promise<void> {
  const script = `umount "$1" 2>/dev/null || :; echo $2 >${BOOT_ID}; mount --bind ${BOOT_ID} "$1"`
  const file = '/proc/sys/kernel/random/boot_id'
  await host.run('sh', '-ec', script, 'sh', file, randomUUID())
}

const POWER_CYCLE = `
for link in $(ls /sys/class/net); do
  case $link in lo|lan0) ;; *) ip link del $link 2>/dev/null || : ;; esac
done
nft flush ruleset
conntrack -F >/dev/null 2>&1 || :
echo 0 >/proc/sys/net/ipv4/ip_forward
echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
rm -rf /run/tsnet
`
