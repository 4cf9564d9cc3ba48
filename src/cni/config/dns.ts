/** The resolver settings that a configuration and its runtime ask for. */

import { overlayDns, readDns, readWords } from '../../model/json/dns.ts'
import type { Json } from '../../model/json/json.ts'
import type { Dns } from '../../model/network.ts'

/**
 * What overrules the IPAM's settings: the configuration's `dns`, key by key overruled by the runtime's.
 * @returns undefined where neither says anything
 */
export function readDnsSettings(config: Json): Dns | undefined {
  const runtime = config.get('runtimeConfig').get('dns')
  return overlayDns(readDns(config.get('dns')), {
    nameservers: readWords(runtime.get('servers')),
    search: readWords(runtime.get('searches')),
    options: readWords(runtime.get('options')),
  })
}
