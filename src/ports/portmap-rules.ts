/** The rules of one attachment that the drop-in portmap has ports for. */

import { type Cidr, familyOf } from '../model/address/address.ts'
import type { HostPort, HostPortIntent, HostPortRecord } from '../model/chained.ts'
import { type AttachmentKey, ownerTag } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { installPorts, verifyPorts } from '../nat/reference/hostports.ts'
import { readRecord } from '../records/chained.ts'
import { listUsers, whileLocked } from '../records/records.ts'
import { openLocalnet } from './localnet.ts'

/** Rules of all containers are changed one after the other. */
export const whilePortmapLocked = <T>(work: () => T | Promise<T>): Promise<T> => whileLocked('portmap', work)

/** Who has ports in the chain of one container on one network. */
export const chainOf = ({ network, containerId }: AttachmentKey): string =>
  `portmap-${ownerTag({ network, containerId, ifname: '' })}`

/** Other attachments of the same container to the same network. */
export const othersOf = (record: AttachmentKey, owner: string): HostPortRecord[] =>
  listUsers(chainOf(record))
    .filter(user => user !== owner)
    .flatMap(user => readRecord('portmap', user) ?? [])

export const mappingsOf = (ports: readonly HostPort[]): PortMapping[] =>
  ports.map(port => ({ ...port, count: 1 }))

/** The container's address to which 127.0.0.1 is to lead. */
export const localAddress = ({ addresses, snat }: HostPortIntent): Cidr | undefined =>
  snat ? addresses.find(address => familyOf(address) === 4) : undefined

/** Leads ports to the attachment of a record. Idempotent, as a whole. @throws TsnetError */
export async function leadPorts(record: HostPortRecord, ports: readonly HostPort[]): Promise<void> {
  if (ports.length === 0) return
  const { backend, intent } = record
  const made = { backend, intent: { ...intent, ports: [...ports] } }
  const others = othersOf(record, ownerTag(record))
  const isThere = async () => (await verifyPorts(made, { others, guarded: true })).length === 0
  // With nftables what is installed twice stands twice.
  if (backend === 'iptables' || !(await isThere())) await installPorts(made, others)
  const address = localAddress(intent)
  if (address !== undefined) openLocalnet(address)
}
