/** Lists that the plugin `tsnet` does alone, read as it reads them when a runtime calls it. */

import { readAttachRequest } from '../cni/config/config.ts'
import type { Call } from '../cni/request.ts'
import { TsnetError } from '../model/errors.ts'
import { Json } from '../model/json/json.ts'
import type { AttachRequest } from '../model/network.ts'
import { present } from '../model/present.ts'
import type { Version } from '../runtime/cni-versions.ts'
import type { NetworkList } from '../runtime/conflist.ts'
import type { Host } from './places.ts'

/** Of nobody. */
export const NO_CALL: Call = {
  command: 'ADD',
  containerId: '',
  netns: '',
  ifname: '',
  args: '',
  path: [],
  allowOwnNetns: false,
}

/** Who is to be attached, and what a runtime would pass as runtimeConfig. */
export interface Member extends Partial<Pick<Call, 'containerId' | 'ifname' | 'netns'>> {
  mac?: string
  ips?: string[]
  /** As `egress.allow` has it. */
  egress?: string[]
}

/**
 * What attaching somebody to a list would ask of network/.
 * @throws TsnetError `unsupported-field` where other plugins have a part in it; what the plugin refuses
 */
export function requestOn(list: NetworkList, member: Member, { env }: Pick<Host, 'env'>): AttachRequest {
  const { name, cniVersion, plugins } = list
  const [plugin, ...others] = plugins
  const foreign = plugin?.type === 'tsnet' ? others[0] : plugin
  if (plugin === undefined || foreign !== undefined)
    throw new TsnetError(
      'unsupported-field',
      `network ${name}: its plugin ${foreign?.type} is a program that a runtime of CNI calls for a container; only networks of the plugin tsnet alone can be joined without one`,
    )
  const { mac, ips, egress, ...called } = member
  const runtimeConfig = present({ mac, ips, egress })
  const config = new Json({ ...plugin.config, name, cniVersion, runtimeConfig }, '')
  return readAttachRequest(config, cniVersion as Version, { ...NO_CALL, ...called }, env)
}
