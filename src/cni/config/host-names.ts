/** `names`: whether, and below which domain, the names of a network's containers are told. */

import { isHostName } from '../../model/address/host-name.ts'
import type { Json } from '../../model/json/json.ts'
import { readIp } from '../../model/json/values.ts'
import type { BridgeOptions, IpamOptions, NamesOptions } from '../../model/network.ts'
import { present } from '../../model/present.ts'

/** ICANN has set `internal` aside for names that nobody else gives (2024). */
export const DEFAULT_DOMAIN = 'tsnet.internal'

/** A container's name comes before it. */
const LONGEST_DOMAIN = 180

/**
 * `true`, or an object with `domain` and `forward`.
 * @throws TsnetError `invalid-config`
 */
export function readHostNames(
  config: Json,
  bridge: BridgeOptions,
  ipam: IpamOptions,
): NamesOptions | undefined {
  const json = config.get('names')
  if (!json.present || json.value === false) return undefined
  if (json.value !== true) json.object()
  const names: NamesOptions = json.value === true ? { domain: DEFAULT_DOMAIN } : readOptions(json)
  if (ipam.kind === 'none') json.refuse('cannot be without an ipam section: names are those of addresses')
  if (!bridge.isGateway) json.refuse("needs isGateway: it is the bridge's address that answers")
  checkServers(config)
  return names
}

function readOptions(json: Json): NamesOptions {
  const asked = json.get('domain')
  const domain = (asked.text() ?? DEFAULT_DOMAIN).toLowerCase()
  if (!isHostName(domain) || domain.length > LONGEST_DOMAIN) asked.refuse('is no name of a domain')
  return present({ domain, forward: json.get('forward').flag() })
}

/** They are asked by us, and not by the container. */
function checkServers(config: Json): void {
  const lists = [config.get('dns').get('nameservers'), config.get('runtimeConfig').get('dns').get('servers')]
  for (const server of lists.flatMap(list => list.list())) readIp(server)
}
