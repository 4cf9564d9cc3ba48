/**
 * Lets through what containers of other hosts send into the world, where a network leaves by this one: the host forwards,
 * and whatever drops by policy makes an exception.
 *
 * It has an owner tag as attachments have, and a record by which it is put back and collected like theirs.
 */

import type { Passing } from '../../hosts/hosts.ts'
import { forcedBackend } from '../../model/environment.ts'
import { type NatIntent, ownerTag } from '../../model/network.ts'
import { chooseBackend } from '../../nat/nat.ts'
import { installRules, withdrawRules } from '../../network/shared.ts'
import { whileLocked } from '../../records/records.ts'
import { readTransit, writeTransit } from '../../records/transits.ts'

/** No container has this key. */
const ownerOf = (network: string): string => ownerTag({ network, containerId: '', ifname: 'transit' })

/** Makes it so. @param passing undefined: nothing @throws TsnetError */
export async function letThrough(network: string, passing: Passing | undefined): Promise<void> {
  const owner = ownerOf(network)
  const intent = passing && intentOf(owner, passing)
  if (JSON.stringify(readTransit(owner)?.intent) === JSON.stringify(intent)) return
  await whileLocked(owner, async () => {
    const before = readTransit(owner)
    if (before !== undefined) await withdrawRules(before.backend, owner, before.intent)
    writeTransit(owner, undefined)
    if (intent === undefined) return
    const backend = chooseBackend(forcedBackend(process.env))
    writeTransit(owner, { network, backend, intent })
    await installRules(backend, intent)
  })
}

const intentOf = (owner: string, { bridge, addresses }: Passing): NatIntent => ({
  owner,
  bridge,
  addresses,
  ipMasq: false,
  guardDirect: false,
  ports: [],
  part: 'transit',
})
