/** The configuration of the role `bridge`; what the reference refuses, in its words. */

import { forcedBackend, natBackends } from '../../model/environment.ts'
import { TsnetError } from '../../model/errors.ts'
import type { Json } from '../../model/json/json.ts'
import { shown } from '../../model/json/shown.ts'
import { readMac } from '../../model/json/values.ts'
import type { AttachRequest, BridgeOptions, NatBackend, Network } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { readArgs } from '../config/args.ts'
import { readBridge } from '../config/bridge.ts'
import { readRequests, requestsIn } from '../config/config.ts'
import { readDnsSettings } from '../config/dns.ts'
import { readIpam } from '../config/ipam.ts'
import { checkNetworkName } from '../config/names.ts'
import type { PluginCall } from '../plugin.ts'

const refuse = (message: string): never => {
  throw new TsnetError('invalid-config', message)
}

/** @throws TsnetError `invalid-config`, `unsupported-field`, `invalid-environment` */
export function readDropInNetwork({ config, version, call, env }: PluginCall): Network {
  const isLayer3 = config.get('ipam').get('type').text() !== undefined
  const bridge = readOptions(config)
  if (isLayer3 && bridge.disableContainerInterface) {
    refuse('cannot use IPAM when DisableContainerInterface flag is set')
  }
  if (bridge.hairpinMode && bridge.promiscMode) {
    refuse('cannot set hairpin mode and promiscuous mode at the same time')
  }
  return present({
    name: checkNetworkName(config.get('name').text()),
    bridge,
    ipam: isLayer3
      ? readIpam(config, { version, path: call.path, args: call.args })
      : { kind: 'none' as const },
    ipMasq: config.get('ipMasq').flag() ?? false,
    allowDirectRouting: true,
    natBackend: forcedBackend(env) ?? readBackend(config),
    dns: readDnsSettings(config),
    dropIn: true as const,
  })
}

/** @throws TsnetError `invalid-config`, `unsupported-field`, `invalid-environment` */
export function readDropInRequest(plugin: PluginCall): AttachRequest {
  const { call, config } = plugin
  const network = readDropInNetwork(plugin)
  const args = readArgs(call.args, network.ipam.kind === 'delegated')
  const mac = (section: Json) => readMac(section.get('mac'))
  const request: AttachRequest = {
    network,
    containerId: call.containerId,
    ifname: call.ifname,
    netns: call.netns,
    requestedIps: network.ipam.kind === 'host-local' ? readRequests(requestsIn(config, args)) : [],
    ports: [],
    aliases: [],
  }
  const asked = mac(config.get('runtimeConfig')) ?? mac(config.get('args').get('cni')) ?? readMac(args.mac)
  return asked === undefined ? request : { ...request, mac: asked }
}

function readOptions(config: Json): BridgeOptions {
  const { value: vlan } = config.get('vlan')
  if (typeof vlan === 'number' && !(vlan >= 0 && vlan <= 4094)) {
    refuse(`invalid VLAN ID ${vlan} (must be between 0 and 4094)`)
  }
  return readBridge(config, config.get('vlanTrunk').list().flatMap(readTrunk))
}

/** As the reference takes them: a range, a single id, both, or neither. */
function readTrunk(entry: Json): { minID: number; maxID: number }[] {
  const [id, minID, maxID] = ['id', 'minID', 'maxID'].map(key => {
    const { value } = entry.get(key)
    if (value === undefined) return undefined
    const known = Number.isInteger(value) && (value as number) > 0 && (value as number) <= 4094
    return known ? (value as number) : refuse(`incorrect trunk ${key} parameter`)
  })
  const missing = (key: string) =>
    refuse(`minID and maxID should be configured simultaneously, ${key} is missing`)
  const trunks = id === undefined ? [] : [{ minID: id, maxID: id }]
  if (minID === undefined && maxID === undefined) return trunks
  if (minID === undefined) return missing('minID')
  if (maxID === undefined) return missing('maxID')
  if (maxID < minID) return refuse('minID is greater than maxID in trunk parameter')
  return [{ minID, maxID }, ...trunks]
}

function readBackend(config: Json): NatBackend | undefined {
  const text = config.get('ipMasqBackend').text()
  if (text === undefined) return undefined
  const backend = natBackends.find(known => known === text)
  return backend ?? refuse(`unknown ipmasq backend ${shown(text)}`)
}
