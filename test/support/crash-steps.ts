/** The files of attachments and publications as their operations write them. */

import { join } from 'node:path'
import { collectLeases, giveBack, obtain } from '../../src/ipam/ipam.ts'
import type { PortMapping } from '../../src/model/port-mapping.ts'
import { currentBootId } from '../../src/netns/alive.ts'
import { claimsOf } from '../../src/ports/claim-files.ts'
import { claimPorts, releasePorts } from '../../src/ports/ports.ts'
import { removePublication, writePublication } from '../../src/records/publications.ts'
import { addUser, removeEntry, removeUser, whileLocked, writeEntry } from '../../src/records/records.ts'
import { writeKept } from '../../src/records/state-files.ts'
import { addressesOf, hostLocal } from './leases.ts'
import { publication } from './publications.ts'
import { keyOf, links, natOf, tagOf, undertaking } from './records.ts'

/** One address for each of five containers. */
const SUBNET = '10.1.0.0/29'

export const portOf: Record<string, number> = { api: 31_100, web: 31_101, pub: 31_102, next: 31_103 }

export const mappingOf = (id: string): PortMapping => ({
  protocol: 'tcp',
  hostPort: portOf[id] ?? 31_200,
  containerPort: 80,
  count: 1,
})

/** What `tsnet publish` calls a publication. */
export const PUBLICATION = 'aaaaaaaaaaaaaaaa'

const FORWARDING = [
  { backend: 'nftables', settings: [{ name: 'net/ipv4/ip_forward', before: '0', after: '1' }], guards: [4] },
]

/** The steps on the files of one folder, which becomes this process's run directory. */
export function crashed(folder: string) {
  process.env.TSNET_RUN_DIR = join(folder, 'run')
  const options = hostLocal(join(folder, 'networks'), [SUBNET])
  const users = ['nat-nftables', 'forwarding', 'bridge-cni0']
  const take = async (id: string, bootId = currentBootId()) =>
    addressesOf((await obtain(options, { ...keyOf(id), bootId }, [])).leases)[0] ?? ''
  return {
    options,
    take,
    give: (id: string) => giveBack(options, keyOf(id), undefined),
    collect: (living: string[]) =>
      collectLeases(
        options,
        'front',
        living.map(containerId => ({ containerId, ifname: 'eth0' })),
      ),
    async add(id: string): Promise<void> {
      const owner = tagOf(id)
      await whileLocked(owner, async () => {
        const attachment = undertaking(id, { bootId: currentBootId(), ports: [mappingOf(id)], ipam: options })
        writeEntry(owner, { state: 'attaching', attachment })
        await claimPorts(owner, attachment.ports, { probe: false, rules: 'nftables' })
        await take(id)
        const planned = { ...attachment, nat: natOf(owner) }
        writeEntry(owner, { state: 'attaching', attachment: planned })
        for (const resource of users) addUser(resource, owner)
        if (id === 'web') writeKept('host.json', FORWARDING)
        writeEntry(owner, { state: 'attached', attachment: { ...planned, ...links } })
      })
    },
    /** As after a kill, too: what there is goes. */
    async delete(id: string): Promise<void> {
      const owner = tagOf(id)
      await whileLocked(owner, async () => {
        if (id === 'web') writeKept('host.json', undefined)
        for (const resource of users) removeUser(resource, owner)
        await releasePorts(owner, claimsOf(owner))
        await giveBack(options, keyOf(id), undefined)
        removeEntry(owner)
      })
    },
    async publish(): Promise<void> {
      writePublication(publication({ id: PUBLICATION, hostPort: portOf.pub ?? 0 }))
      await claimPorts(PUBLICATION, [mappingOf('pub')], { probe: false })
    },
    async unpublish(): Promise<void> {
      await releasePorts(PUBLICATION, claimsOf(PUBLICATION))
      removePublication(PUBLICATION)
    },
  }
}
