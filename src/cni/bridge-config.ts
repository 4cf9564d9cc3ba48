/** The keys of the reference bridge plugin, with its defaults. */

import type { BridgeOptions } from '../model/network.ts'
import type { Json } from './json.ts'
import { checkInterfaceName } from './names.ts'

/** @throws TsnetError `invalid-config` or `unsupported-field` */
export function readBridge(config: Json): BridgeOptions {
  const flag = (key: string) => config.get(key).flag() ?? false
  const mtu = readMtu(config.get('mtu'))
  const vlan = config.get('vlan').number(0, 4094)
  const isDefaultGateway = flag('isDefaultGateway')
  const hairpinMode = flag('hairpinMode')
  const promiscMode = flag('promiscMode')
  if (hairpinMode && promiscMode) {
    config.get('promiscMode').refuse('cannot be set together with hairpinMode', 'unsupported-field')
  }
  return {
    name: checkInterfaceName(config.get('bridge').text() ?? 'cni0', 'bridge', 'invalid-config'),
    ...(mtu === undefined ? {} : { mtu }),
    isGateway: flag('isGateway') || isDefaultGateway,
    isDefaultGateway,
    forceAddress: flag('forceAddress'),
    hairpinMode,
    promiscMode,
    macspoofchk: flag('macspoofchk'),
    portIsolation: flag('portIsolation'),
    enabledad: flag('enabledad'),
    disableContainerInterface: flag('disableContainerInterface'),
    ...(vlan ? { vlan } : {}),
    vlanTrunk: config.get('vlanTrunk').list().map(readTrunk),
    preserveDefaultVlan: flag('preserveDefaultVlan'),
  }
}

/** 68 is the least that IPv4 allows, 65535 the most a packet can say of itself; 0 is Go's "not set". */
function readMtu(json: Json): number | undefined {
  const mtu = json.number(0, 65_535)
  if (mtu !== undefined && mtu !== 0 && mtu < 68) json.refuse('is less than 68, the least that IPv4 allows')
  return mtu === 0 ? undefined : mtu
}

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
  if (minID > maxID) entry.refuse('has a minID greater than its maxID')
  return { minID, maxID }
}
