/**
 * Which settings of a bridge can stand together. Checked before an address is taken or anything is made.
 */

import { TsnetError } from '../../model/errors.ts'
import { INTERFACE_NAME_MAX, parseInterfaceName } from '../../model/interface-name.ts'
import type { BridgeOptions } from '../../model/network.ts'

/** RFC 791 and the kernel's ETH_MIN_MTU; RFC 8200 section 5; ETH_MAX_MTU. */
export const MTU_MIN = 68
export const MTU_MIN_V6 = 1280
export const MTU_MAX = 65535

const VLAN_MAX = 4094

/**
 * @param hasIpam whether the container is to get addresses
 * @throws TsnetError `invalid-config` naming the key and its value
 */
export function checkBridgeOptions(options: BridgeOptions, hasIpam: boolean): void {
  parseInterfaceName(options.name, 'bridge')
  if (options.mtu !== undefined) whole('mtu', options.mtu, MTU_MIN, MTU_MAX)
  if (options.hairpinMode && options.promiscMode) {
    reject('hairpinMode and promiscMode are both true: a packet would come back to its container twice')
  }
  if (hasIpam && options.disableContainerInterface) {
    reject('disableContainerInterface is true, and ipam is set: an interface that stays down has no address')
  }
  checkVlans(options)
  checkUplink(options, hasIpam)
}

function checkUplink({ name, uplink, isGateway, vlan, vlanTrunk }: BridgeOptions, hasIpam: boolean): void {
  if (uplink === undefined) return
  parseInterfaceName(uplink, 'uplink')
  if (uplink === name) reject(`uplink: "${uplink}" is the bridge itself`)
  if (hasIpam || isGateway)
    reject(
      'uplink: an interface of the host is plugged into bridges of layer 2 alone, without ipam and isGateway; other networks leave by the routes of the host',
    )
  if (vlan !== undefined || vlanTrunk.length > 0)
    reject('uplink: which VLANs it has is not known here; name an interface of one VLAN, such as eth1.42')
}

function checkVlans({ name, vlan, vlanTrunk, isGateway, isDefaultGateway }: BridgeOptions): void {
  if (vlan !== undefined) whole('vlan', vlan, 1, VLAN_MAX)
  for (const { minID, maxID } of vlanTrunk) {
    whole('vlanTrunk.minID', minID, 1, VLAN_MAX)
    whole('vlanTrunk.maxID', maxID, 1, VLAN_MAX)
    if (minID > maxID) reject(`vlanTrunk: minID ${minID} is greater than maxID ${maxID}`)
  }
  if (vlan !== undefined && (isGateway || isDefaultGateway)) {
    const gateway = vlanInterface(name, vlan)
    if (gateway.length > INTERFACE_NAME_MAX) {
      reject(`bridge: "${name}" leaves no room for the gateway's interface ${gateway}: 15 characters at most`)
    }
  }
}

/** The interface that holds the gateway of one VLAN of a bridge. */
export const vlanInterface = (bridge: string, vlan: number): string => `${bridge}.${vlan}`

/** @throws TsnetError `invalid-config` unless `value` is a whole number from `min` to `max` */
export function whole(key: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    reject(`${key}: ${value} is not a number from ${min} to ${max}`)
  }
}

export function reject(message: string): never {
  throw new TsnetError('invalid-config', message)
}
