/** What is wrong with one plugin of a list. */

import { checkBridgeOptions } from '../../bridge/bridge.ts'
import { unknownKeys } from '../../cni/config/unknown-keys.ts'
import type { Plugin } from '../../cni/plugin.ts'
import type { Call } from '../../cni/request.ts'
import { isRole, loadPlugin } from '../../cni/roles/roles.ts'
import { normalise } from '../../ipam/ipam.ts'
import { TsnetError } from '../../model/errors.ts'
import { Json, Refusal } from '../../model/json/json.ts'
import { shownBare } from '../../model/json/shown.ts'
import type { Network } from '../../model/network.ts'
import { newest, readVersion, versions } from '../../runtime/cni-versions.ts'
import type { NetworkList } from '../../runtime/conflist.ts'
import type { Host } from '../places.ts'
import { findingsOfFiles } from './files.ts'
import { error, type Finding, note, warning } from './finding.ts'

export interface PluginLint {
  findings: Finding[]
  /** That it would put a container on; undefined for one that makes none, or cannot be read. */
  network: Network | undefined
}

const SANDBOX = '/run/netns/container'
const IFNAME = 'eth0'

/** Of plugins of a chain, what those before would have made. Addresses are of RFC 5737 and RFC 3849. */
const PREVIOUS = {
  interfaces: [{ name: 'cni0' }, { name: IFNAME, sandbox: SANDBOX }],
  ips: [
    { address: '192.0.2.2/24', interface: 1 },
    { address: '2001:db8::2/64', interface: 1 },
  ],
}

export async function lintPlugin(list: NetworkList, index: number, host: Host): Promise<PluginLint> {
  const { type, config } = list.plugins[index] ?? { type: '', config: {} }
  const whole = {
    ...config,
    // What is wrong with these two is said of the list.
    name: 'network',
    cniVersion: versions.find(known => known === list.cniVersion) ?? newest,
    ...(index > 0 && { prevResult: PREVIOUS }),
    // As an object it tells what is asked of it, which are the capabilities that a plugin understands.
    runtimeConfig: {},
  }
  const read = isRole(type) ? await readFully(await loadPlugin(type), whole, host) : undefined
  const inIt = [
    ...(read?.faults ?? []),
    ...(read === undefined ? [] : await quirksOf(read, type)),
    ...(await findingsOfFiles(list, index, host)),
  ]
  return { findings: inIt.map(each => ({ ...each, plugin: index })), network: read?.network }
}

interface Read {
  faults: Finding[]
  network: Network | undefined
  config: Json
  /** False where something is wrong that kept the rest from being read. */
  isWhole: boolean
}

/** Reads again and again, without what was refused. */
async function readFully(plugin: Plugin, value: object, host: Host): Promise<Read> {
  const faults: Finding[] = []
  const without = new Set<string>()
  for (;;) {
    const config = new Json(value, '', '', without)
    try {
      const network = readOnce(plugin, config, host)
      return { faults, network, config, isWhole: true }
    } catch (thrown) {
      if (!(thrown instanceof TsnetError)) throw thrown
      const isConsequence = thrown instanceof Refusal && without.has(thrown.path)
      if (!isConsequence) faults.push(error(inFull(thrown)))
      if (isConsequence || !(thrown instanceof Refusal) || !thrown.isPresent || thrown.path === '')
        return { faults, network: undefined, config, isWhole: false }
      without.add(thrown.path)
    }
  }
}

function readOnce(plugin: Plugin, config: Json, host: Host): Network | undefined {
  const declared = config.get('capabilities')
  for (const name of Object.keys(declared.object())) declared.exactly(name).flag()
  const call: Call = {
    command: 'ADD',
    containerId: 'container',
    netns: SANDBOX,
    ifname: IFNAME,
    args: '',
    path: host.path,
    allowOwnNetns: false,
  }
  const network = plugin.read({
    call,
    config,
    version: readVersion(config),
    env: {},
    operations: () => Promise.reject(new TypeError('reading does nothing')),
  })
  if (network !== undefined) {
    checkBridgeOptions(network.bridge, network.ipam.kind !== 'none')
    // Of many hosts each has ranges of its own, which are not in the list.
    if (network.ipam.kind === 'host-local' && network.hosts === undefined) normalise(network.ipam.ranges)
  }
  return network
}

const inFull = ({ message, details }: TsnetError): string =>
  details === undefined ? message : `${message} (${details})`

/** What does not keep a container from coming up. */
async function quirksOf({ config, isWhole }: Read, type: string): Promise<Finding[]> {
  const understood = config.get('runtimeConfig').asked
  const unknown = await unknownKeys(config, isWhole)
  return [...unknown.map(warning), ...(isWhole ? capabilitiesOf(config, type, understood) : [])]
}

/** What a plugin is there for, and gets from a runtime alone. */
const NEEDED: Record<string, string> = { portmap: 'portMappings' }

function capabilitiesOf(config: Json, type: string, understood: readonly string[]): Finding[] {
  const all = config.get('capabilities').object()
  const declared = Object.keys(all).filter(name => all[name] === true)
  const idle = declared.filter(name => !understood.includes(name))
  const lacking = understood.filter(name => !declared.includes(name))
  const needed = lacking.find(name => name === NEEDED[type])
  return [
    ...idle.map(name =>
      note(`capabilities.${shownBare(name)} is declared, and ${type} asks for nothing of it`),
    ),
    ...(needed !== undefined
      ? [warning(`capabilities.${needed} is not declared: nothing is passed, and ${type} does nothing`)]
      : lacking.length > 0
        ? [
            note(
              `capabilities: ${lacking.join(', ')} not declared: what a runtime is asked for of that is not passed`,
            ),
          ]
        : []),
  ]
}
