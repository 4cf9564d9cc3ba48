/** Records as attachments leave them. */

import { parseCidr } from '../../src/model/address/address.ts'
import { type AttachmentKey, ownerTag, type Undertaking } from '../../src/model/network.ts'

/** A container on network `front`. */
export const keyOf = (containerId: string, network = 'front'): AttachmentKey => ({
  network,
  containerId,
  ifname: 'eth0',
})

export const tagOf = (containerId: string, network?: string): string => ownerTag(keyOf(containerId, network))

/** What is written down of a container, with what a test has to say about it. */
export const undertaking = (containerId: string, more: Partial<Undertaking> = {}): Undertaking => ({
  ...keyOf(containerId),
  netns: { path: `/run/netns/${containerId}`, dev: 4, ino: 4_026_530_000 },
  bootId: 'b',
  createdAt: '2026-01-01T00:00:00.000Z',
  bridgeName: 'cni0',
  ipam: { kind: 'none' },
  leases: [],
  ports: [],
  macspoofchk: false,
  aliases: [],
  ...more,
})

/** The rules of one, with nftables. */
export const natOf = (owner: string): NonNullable<Undertaking['nat']> => ({
  backend: 'nftables',
  intent: {
    owner,
    bridge: 'cni0',
    addresses: [parseCidr('10.1.0.2/24')],
    ipMasq: false,
    guardDirect: true,
    ports: [],
  },
})

const link = (name: string) => ({ name, mac: '02:00:00:00:00:01', mtu: 1500 })

/** What a complete one has beside that. */
export const links = {
  bridge: link('cni0'),
  hostInterface: link('veth1'),
  containerInterface: link('eth0'),
  routes: [],
}
