/**
 * The network configuration of the all-in-one plugin, from JSON to the model's values.
 *
 * Whatever can be known to be wrong without a look at the machine is refused here, before anything is
 * touched. Keys that we do not know are somebody else's.
 */

import type { Ip } from '../../model/address/address.ts'
import { isHostName } from '../../model/address/host-name.ts'
import { forcedBackend, natBackends } from '../../model/environment.ts'
import { parseInterfaceName } from '../../model/interface-name.ts'
import type { Json } from '../../model/json/json.ts'
import { shown } from '../../model/json/shown.ts'
import { readIpOrCidr, readMac } from '../../model/json/values.ts'
import type { AttachRequest, NatBackend, Network } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import type { Version } from '../../runtime/cni-versions.ts'
import type { Call, Environment } from '../request.ts'
import { type Args, readArgs } from './args.ts'
import { readBandwidth } from './bandwidth.ts'
import { readBridge } from './bridge.ts'
import { readDnsSettings } from './dns.ts'
import { readAllow, readEgress, readReach } from './egress.ts'
import { readHostNames } from './host-names.ts'
import { readHosts, readHostsIpam } from './hosts.ts'
import { readIpam } from './ipam.ts'
import { checkNetworkName } from './names.ts'
import { readPorts } from './ports.ts'

/** @throws TsnetError naming the key and the value */
export function readNetwork(config: Json, version: Version, call: Call, env: Environment): Network {
  const ipMasq = config.get('ipMasq').flag() ?? false
  const bridge = { ...readBridge(config), ...present({ uplink: readUplink(config) }) }
  const hosts = readHosts(config, bridge)
  const ipam =
    hosts === undefined
      ? readIpam(config, { version, path: call.path, args: call.args })
      : readHostsIpam(config)
  const names = readHostNames(config, bridge, ipam)
  return present({
    name: checkNetworkName(config.get('name').text()),
    bridge,
    ipam,
    ipMasq,
    allowDirectRouting: config.get('allowDirectRouting').flag() ?? !ipMasq,
    natBackend: readBackend(config, env),
    dns: readDnsSettings(config),
    names,
    hosts,
    egress: readEgress(config, present({ hosts, ipMasq, ipam })),
    reach: readReach(config, present({ names, ipam })),
  })
}

/** @throws TsnetError naming the key and the value */
export function readAttachRequest(
  config: Json,
  version: Version,
  call: Call,
  env: Environment,
): AttachRequest {
  const network = readNetwork(config, version, call, env)
  const runtime = config.get('runtimeConfig')
  const metadata = config.get('args').get('cni')
  // What is unknown to us in CNI_ARGS may be known to the plugin that we delegate to.
  const args = readArgs(call.args, network.ipam.kind === 'delegated')
  const asked = requestsIn(config, args)
  const requestedIps = readRequests(asked)
  const ports = readPorts(runtime.get('portMappings'))
  if (network.ipam.kind === 'none') {
    if (ports.length > 0) runtime.get('portMappings').refuse(WITHOUT_ADDRESS, 'unsupported-field')
    asked.find(item => item.text() !== undefined)?.refuse(WITHOUT_ADDRESS, 'unsupported-field')
  }
  return present({
    network,
    containerId: call.containerId,
    ifname: call.ifname,
    netns: call.netns,
    mac: readMac(runtime.get('mac')) ?? readMac(metadata.get('mac')) ?? readMac(args.mac),
    requestedIps,
    ports,
    bandwidth: readBandwidth(config),
    reach: readAllow(runtime.get('egress'), network),
    aliases: readAliases(runtime.get('aliases'), network.name, args.podName),
  })
}

/** Ours: the reference's bridge takes whatever somebody else has plugged in. */
function readUplink(config: Json): string | undefined {
  const text = config.get('uplink').text()
  return text === undefined ? undefined : parseInterfaceName(text, 'uplink')
}

/** Where addresses are asked for: CNI_ARGS, args.cni.ips, runtimeConfig.ips. */
export const requestsIn = (config: Json, args: Args): Json[] => [
  ...args.ips,
  ...config.get('args').get('cni').get('ips').list(),
  ...config.get('runtimeConfig').get('ips').list(),
]

/** The addresses asked for, each once. @throws TsnetError `invalid-config` */
export const readRequests = (asked: Json[]): Ip[] => [
  ...new Set(asked.map(readIpOrCidr).filter(ip => ip !== undefined)),
]

const WITHOUT_ADDRESS = 'cannot be without an ipam section, which gives the container its address'

// The reference's bridge says ipMasqBackend, its portmap backend; ours does both jobs with one.
function readBackend(config: Json, env: Environment): NatBackend | undefined {
  const [one, other] = ['ipMasqBackend', 'backend'].map(key => {
    const text = config.get(key).text()
    const backend = natBackends.find(known => known === text)
    if (text !== undefined && backend === undefined) {
      config.get(key).refuse(`is neither ${natBackends.join(' nor ')}`, 'unsupported-field')
    }
    return backend
  })
  if (one !== undefined && other !== undefined && one !== other) {
    config.get('backend').refuse(`contradicts ipMasqBackend ${shown(one)}`, 'unsupported-field')
  }
  return forcedBackend(env) ?? one ?? other
}

/**
 * A list of names; or, as podman sends it, a list for each network by name. Behind them the name by which
 * the runtime itself knows the container, if it is one that DNS can tell.
 */
function readAliases(json: Json, network: string, podName: Json): string[] {
  const list = Array.isArray(json.value) ? json : json.exactly(network)
  const aliases = list.list().map(item => {
    const alias = item.text() ?? item.refuse('is empty')
    return isHostName(alias) ? alias : item.refuse('is not a host name')
  })
  const name = podName.text()
  return [...new Set([...aliases, ...(name !== undefined && isHostName(name) ? [name] : [])])]
}

/**
 * The attachments that GC must leave alone. Absent means that the caller does not say, an empty list that
 * there are none. An entry that cannot be read is an error: its container would lose its network.
 */
export function readValidAttachments(config: Json): { containerId: string; ifname: string }[] | undefined {
  const key = ['cni.dev/valid-attachments', 'cni.dev/attachments'].find(key => config.get(key).present)
  if (key === undefined) return undefined
  return config
    .get(key)
    .list()
    .map(entry => {
      const [containerId, ifname] = ['containerID', 'ifname'].map(name => {
        const member = entry.get(name)
        return member.text() ?? member.refuse('is missing')
      })
      return { containerId: containerId ?? '', ifname: ifname ?? '' }
    })
}
