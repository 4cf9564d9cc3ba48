/** How what the drop-in portmap did for an attachment ends; whoever calls holds portmap's lock (ports/portmap-rules.ts). */

import { ipOf } from '../model/address/address.ts'
import type { HostPortRecord } from '../model/chained.ts'
import { type NatBackend, ownerTag } from '../model/network.ts'
import { everyStep } from '../model/undo.ts'
import { flushConntrack } from '../nat/conntrack.ts'
import { removeGuard, tidyPorts, withdrawPorts } from '../nat/reference/hostports.ts'
import { claimsOf } from '../ports/claim-files.ts'
import { closeHairpin } from '../ports/hairpin.ts'
import { closeLocalnet } from '../ports/localnet.ts'
import { chainOf, mappingsOf, othersOf } from '../ports/portmap-rules.ts'
import { restoreReturnPath } from '../ports/return-path.ts'
import { removeRecord } from '../records/chained.ts'
import { isLastUser, isUser, listUsers, namesUsed, removeUser } from '../records/records.ts'
import { leaveLocked, yieldLocked } from './shared-ports.ts'

/** Who has ports with a backend. */
export const usersOf = (backend: NatBackend): string => `portmap-${backend}`

/** Takes back what a record speaks of, as far as it is there. To be called under the lock. */
export async function takeBack(record: HostPortRecord): Promise<void> {
  const owner = ownerTag(record)
  const { backend, intent, bridgePort, returnPath } = record
  const ports = mappingsOf(intent.ports)
  await everyStep([
    async () => void (await yieldLocked(owner, ports)),
    () => withdrawPorts(record, othersOf(record, owner)),
    () => isLastUser(usersOf(backend), owner) && tidy(backend),
    async () => bridgePort && (await closeHairpin(bridgePort, owner)),
    async () => returnPath && (await restoreReturnPath(returnPath, owner)),
    () => flushConntrack(intent.addresses.map(ipOf), ports),
    () => leaveLocked(owner, ports),
  ])
  removeUser(chainOf(record), owner)
  removeUser(usersOf(backend), owner)
  removeRecord('portmap', owner)
}

/** The last container with a backend takes along what all have shared. */
async function tidy(backend: NatBackend): Promise<void> {
  const other = backend === 'iptables' ? 'nftables' : 'iptables'
  if (!(await tidyPorts(backend))) return
  if (listUsers(usersOf(other)).length === 0) closeLocalnet()
  if (backend === 'iptables') await removeGuard()
}

/** What an owner shares with others, where its record was damaged. To be called under the lock. */
export async function leaveShared(owner: string): Promise<void> {
  const isLast = (backend: NatBackend) =>
    isUser(usersOf(backend), owner) && isLastUser(usersOf(backend), owner)
  await everyStep([
    ...(['iptables', 'nftables'] as const).map(
      backend => () => (isLast(backend) ? tidy(backend) : undefined),
    ),
    ...namesUsed('hairpin-', owner).map(port => () => closeHairpin(port, owner)),
    ...namesUsed('return-path-', owner).map(ifname => () => restoreReturnPath(ifname, owner)),
    () => {
      const claims = claimsOf(owner).filter(({ portmap }) => portmap !== undefined)
      return claims.length > 0 ? leaveLocked(owner, claims) : undefined
    },
  ])
  const backends = ['iptables', 'nftables'] as const
  const chains = namesUsed('portmap-', owner).filter(name => !backends.some(backend => backend === name))
  // Which backend it was tells last that there is something to do.
  for (const name of [...chains, ...backends]) removeUser(`portmap-${name}`, owner)
}
