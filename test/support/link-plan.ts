/** Link requests for tests: a plain routed network unless told otherwise. */

import type { LinkRequest, MacSource } from '../../src/bridge/plan/plan.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import { type BridgeOptions, type Lease, ownerTag } from '../../src/model/network.ts'

export const plainOptions: BridgeOptions = {
  name: 'cni0',
  isGateway: false,
  isDefaultGateway: false,
  forceAddress: false,
  hairpinMode: false,
  promiscMode: false,
  macspoofchk: false,
  portIsolation: false,
  enabledad: false,
  disableContainerInterface: false,
  vlanTrunk: [],
  preserveDefaultVlan: false,
}

export const OWNER = '0123456789abcdef'

/** `10.1.0.2/24` or `10.1.0.2/24 via 10.1.0.1`. */
export function lease(text: string): Lease {
  const [address = '', gateway] = text.split(' via ')
  return { address: parseCidr(address), ...(gateway !== undefined && { gateway: parseIp(gateway) }) }
}

/** A request; options are laid over the plain ones. */
export function linkRequest(
  options: Partial<BridgeOptions> = {},
  rest: Partial<Omit<LinkRequest, 'options' | 'leases'>> & { leases?: string[] } = {},
): LinkRequest {
  const { leases = [], ...others } = rest
  return {
    owner: OWNER,
    ifname: 'eth0',
    routes: [],
    hasPorts: false,
    uplinkMtu: undefined,
    ...others,
    options: { ...plainOptions, ...options },
    leases: leases.map(lease),
  }
}

/** The same MACs each time. */
export const fixedMacs: MacSource = {
  bridge: () => '0e:74:6e:00:00:01',
  container: () => '02:00:00:00:00:02',
}

/** Owner tags, each another one. */
export const ownerOf = (name: string): string =>
  ownerTag({ network: 'lab', containerId: name, ifname: 'eth0' })
