/** What the plugins of a chain read of the configuration alike: whom they are called for, and prevResult. */

import type { Cidr } from '../../model/address/address.ts'
import { familyOf } from '../../model/address/address.ts'
import type { Json } from '../../model/json/json.ts'
import type { AttachmentKey } from '../../model/network.ts'
import { checkNetworkName } from '../config/names.ts'
import { type Result, readPrevious } from '../config/previous.ts'
import type { PluginCall } from '../plugin.ts'

export const keyOf = ({ call, config }: PluginCall): AttachmentKey => ({
  network: checkNetworkName(config.get('name').text()),
  containerId: call.containerId,
  ifname: call.ifname,
})

export const chainedCallOf = (asked: PluginCall) => ({
  ...keyOf(asked),
  netns: asked.call.netns,
  allowOwnNetns: asked.call.allowOwnNetns,
})

/** The result of the plugins before us. @throws TsnetError `invalid-config` */
export const needPrevious = (config: Json): Result =>
  readPrevious(config) ??
  config.get('prevResult').refuse(`is missing: ${config.get('type').text()} must be called as chained plugin`)

/** As needPrevious, but undefined for a result that is missing or cannot be read. */
export function anyPrevious(config: Json): Result | undefined {
  try {
    return readPrevious(config)
  } catch {
    return undefined
  }
}

/**
 * The container's first address of each family, IPv4 first: of the interface that we are called for, or of
 * one that is not named.
 */
export function containerAddresses({ interfaces, ips }: Result, ifname: string): Cidr[] {
  const own = ips.filter(({ interface: index }) => {
    const link = index === undefined ? undefined : interfaces[index]
    return link === undefined || (link.name === ifname && link.sandbox !== undefined)
  })
  return ([4, 6] as const).flatMap(
    family => own.find(({ address }) => familyOf(address) === family)?.address ?? [],
  )
}
