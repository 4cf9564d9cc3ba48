/** The keys of the reference bridge plugin, with its defaults. What cannot stand together, bridge/ knows. */

import { parseInterfaceName } from '../../model/interface-name.ts'
import type { Json } from '../../model/json/json.ts'
import type { BridgeOptions } from '../../model/network.ts'
import { present } from '../../model/present.ts'

/** @throws TsnetError `invalid-config` */
export function readBridge(config: Json, vlanTrunk = readTrunks(config)): BridgeOptions {
  const flag = (key: string) => config.get(key).flag() ?? false
  // Go's "not set".
  const mtu = config.get('mtu').number(0, 65_535) || undefined
  const vlan = config.get('vlan').number(0, 4094) || undefined
  const isDefaultGateway = flag('isDefaultGateway')
  return present({
    name: parseInterfaceName(config.get('bridge').text() ?? 'cni0', 'bridge'),
    mtu,
    isGateway: flag('isGateway') || isDefaultGateway,
    isDefaultGateway,
    forceAddress: flag('forceAddress'),
    hairpinMode: flag('hairpinMode'),
    promiscMode: flag('promiscMode'),
    macspoofchk: flag('macspoofchk'),
    portIsolation: flag('portIsolation'),
    enabledad: flag('enabledad'),
    disableContainerInterface: flag('disableContainerInterface'),
    vlan,
    vlanTrunk,
    preserveDefaultVlan: flag('preserveDefaultVlan'),
  })
}

const readTrunks = (config: Json): BridgeOptions['vlanTrunk'] => config.get('vlanTrunk').list().map(readTrunk)

/** `{ "id": 42 }` or `{ "minID": 100, "maxID": 200 }`. */
function readTrunk(entry: Json): { minID: number; maxID: number } {
  const id = entry.get('id').number(1, 4094)
  const minID = entry.get('minID').number(1, 4094)
  const maxID = entry.get('maxID').number(1, 4094)
  if (id !== undefined) {
    if (minID !== undefined || maxID !== undefined) entry.refuse('has both id and minID or maxID')
    return { minID: id, maxID: id }
  }
  if (minID === undefined || maxID === undefined) return entry.refuse('needs id, or both minID and maxID')
  return { minID, maxID }
}
