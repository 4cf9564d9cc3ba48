/** The keys of the reference portmap plugin, with its defaults. */

import type { Cidr, Ip } from '../../model/address/address.ts'
import { isLinkLocal, manysProblem, tryParseHostIp } from '../../model/address/host.ts'
import type { HostPort, HostPortIntent } from '../../model/chained.ts'
import { forcedBackend, natBackends } from '../../model/environment.ts'
import type { Json } from '../../model/json/json.ts'
import { readIp } from '../../model/json/values.ts'
import type { AttachmentKey, NatBackend } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { readProtocol } from '../config/ports.ts'
import type { Environment } from '../request.ts'

/** Kubernetes uses 14 and 15, Calico 20 to 31. */
const DEFAULT_MARK_BIT = 13

/**
 * @returns undefined where neither the configuration nor the environment says
 * @throws TsnetError `unsupported-field`, also for keys that only the other backend understands
 */
export function readPortBackend(config: Json, env: Environment): NatBackend | undefined {
  const backend = config.get('backend')
  const text = backend.text()
  const asked = natBackends.find(known => known === text)
  if (text !== undefined && asked === undefined) {
    backend.refuse(`is neither ${natBackends.join(' nor ')}`, 'unsupported-field')
  }
  const keys = ['externalSetMarkChain', 'conditionsV4', 'conditionsV6'].map(key => config.get(key))
  const meant = keys.flatMap(key => {
    const backend = backendOf(key)
    return backend === undefined ? [] : [{ key, backend }]
  })
  const chosen = asked ?? forcedBackend(env) ?? meant[0]?.backend
  const wrong = meant.find(({ backend }) => chosen !== undefined && backend !== chosen)
  wrong?.key.refuse(`is for ${wrong.backend}, and the backend is ${chosen}`, 'unsupported-field')
  return chosen
}

/** The backend that a key's value is written for. */
function backendOf(key: Json): NatBackend | undefined {
  if (key.path === 'externalSetMarkChain') return key.text() === undefined ? undefined : 'iptables'
  const [first] = key.list()
  const word = first?.text()
  if (word === undefined) return undefined
  return /^[-!]/.test(word) ? 'iptables' : 'nftables'
}

/** @throws TsnetError naming the key and the value */
export function readHostPorts(config: Json, key: AttachmentKey, addresses: Cidr[]): HostPortIntent {
  const { network, containerId } = key
  return {
    network,
    containerId,
    addresses,
    ports: readPortList(config),
    snat: config.get('snat').flag() ?? true,
    masqAll: config.get('masqAll').flag() ?? false,
    mark: readMark(config),
    conditions: {
      4: readConditions(config.get('conditionsV4')),
      6: readConditions(config.get('conditionsV6')),
    },
  }
}

/** The entries as they came, without those that say the same. */
export function readPortList(config: Json): HostPort[] {
  const list = config.get('runtimeConfig').get('portMappings')
  const seen = new Map<string, HostPort>()
  for (const entry of list.list()) {
    const port = readHostPort(entry)
    const place = `${port.protocol} ${port.hostIp ?? ''} ${port.hostPort}`
    const other = seen.get(place)
    if (other !== undefined && other.containerPort !== port.containerPort) {
      entry.refuse(
        `contradicts another one: host port ${port.hostPort} leads to ${other.containerPort} already`,
      )
    }
    seen.set(place, port)
  }
  return [...seen.values()]
}

function readHostPort(entry: Json): HostPort {
  const number = (key: string) => entry.get(key).number(1, 65_535) ?? entry.get(key).refuse('is missing')
  return present({
    protocol: readProtocol(entry.get('protocol')),
    hostIp: readRuleIp(entry.get('hostIP')),
    hostPort: number('hostPort'),
    containerPort: number('containerPort'),
  })
}

/** An address that rules can lead from; a process that could serve a link-local one of an interface there is not here. */
function readRuleIp(json: Json): Ip | undefined {
  const host = tryParseHostIp(json.text() ?? '')
  if (host !== undefined && isLinkLocal(host)) {
    json.refuse('is link-local, and the rules of portmap lead nothing from there; use another address')
  }
  const problem = host && manysProblem(host)
  return problem === undefined ? readIp(json) : json.refuse(problem)
}

function readMark(config: Json): HostPortIntent['mark'] {
  const [bit, chain] = [config.get('markMasqBit'), config.get('externalSetMarkChain')]
  const number = bit.number(0, 31)
  const name = readChainName(chain)
  if (name === undefined) return { bit: number ?? DEFAULT_MARK_BIT }
  if (number !== undefined)
    bit.refuse('and externalSetMarkChain cannot be specified both', 'unsupported-field')
  return { chain: name }
}

/** A chain of iptables. @throws TsnetError `invalid-config` */
export function readChainName(json: Json): string | undefined {
  const name = json.text()
  if (name === undefined || /^[A-Za-z0-9_.:+][A-Za-z0-9_.:+-]{0,27}$/.test(name)) return name
  return json.refuse('is not the name of a chain: 1 to 28 letters, digits, "_", ".", ":", "+" or "-"')
}

/** Words of a rule; what ends a word, a line or a rule is refused. */
function readConditions(json: Json): string[] {
  return json.list().map(item => {
    const word = item.text() ?? item.refuse('is empty')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    return /[\u0000-\u001f\u007f;#`$\\]/.test(word)
      ? item.refuse('has characters that no condition has')
      : word
  })
}
