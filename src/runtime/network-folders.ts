/**
 * Where runtimes keep networks, beside the folder of CNI itself.
 * Source: containerd-config.toml(5); containers.conf(5), `[network] network_config_dir`; netavark's networks are files of
 * its own, one for each.
 */

import { join } from 'node:path'
import { type Cidr, networkOf, parseCidr } from '../model/address/address.ts'
import { type Surroundings, surroundings } from '../model/surroundings.ts'
import { readContainerdConfig } from './containerd-config.ts'
import { listNames, readJson } from './files.ts'
import { readToml, textAt, textsAt } from './toml.ts'

/** @param root a folder that stands for `/` */
const podmanConfigs = (environment: Surroundings['env'], root: string): string[] => [
  '/usr/share/containers/containers.conf',
  '/etc/containers/containers.conf',
  ...listNames(`${root}/etc/containers/containers.conf.d`)
    .filter(name => name.endsWith('.conf'))
    .sort()
    .map(name => `/etc/containers/containers.conf.d/${name}`),
  ...(environment.CONTAINERS_CONF ? [environment.CONTAINERS_CONF] : []),
]

/** A text of containers.conf(5), and the file that says it last; undefined where none does. */
export function podmanSetting(table: string, key: string): [text: string, file: string] | undefined {
  const said = podmanConfigs(surroundings().env, '').flatMap((file): [string, string][] => {
    const text = textAt(readToml(file), table, key)
    return text === undefined ? [] : [[text, file]]
  })
  return said.at(-1)
}

/** The texts of a list of containers.conf(5), of the file that says them last. @param root a folder that stands for `/` */
export const podmanSettings = (table: string, key: string, root = ''): string[] =>
  podmanConfigs(surroundings().env, root)
    .map(file => textsAt(readToml(root + file), table, key))
    .findLast(each => each.length > 0) ?? []

/** Where podman looks for driver plugins of netavark unless it is told otherwise. */
const DRIVER_FOLDERS = [
  '/usr/local/libexec/netavark',
  '/usr/libexec/netavark',
  '/usr/local/lib/netavark',
  '/usr/lib/netavark',
] as const

/** Where podman looks for driver plugins of netavark, in its order. @param root a folder that stands for `/` */
export function driverFolders(root = ''): readonly [string, ...string[]] {
  const [first, ...others] = podmanSettings('network', 'netavark_plugin_dirs', root)
  return first === undefined ? DRIVER_FOLDERS : [first, ...others]
}

/** Folders with networks of podman: CNI lists, or netavark's files. */
const podmanFolders = (environment: Surroundings['env'], root: string): string[] => {
  const configured = podmanConfigs(environment, root).flatMap(
    path => textAt(readToml(root + path), 'network', 'network_config_dir') ?? [],
  )
  return [...configured, '/etc/containers/networks']
}

/** Folders of network lists that runtimes of this host are told to use. @param root a folder that stands for `/` */
export function networkFolders(environment: Surroundings['env'] = surroundings().env, root = ''): string[] {
  const { listFolder } = readContainerdConfig(root)
  const folders = [...(listFolder === undefined ? [] : [listFolder]), ...podmanFolders(environment, root)]
  return [...new Set(folders)].map(folder => root + folder)
}

/** A network that netavark makes when a container needs it, so that the kernel does not know of it before. */
export interface NetavarkNetwork {
  name: string
  /** 64 hex digits. */
  id?: string
  driver?: string
  options: Record<string, unknown>
  bridge?: string
  subnets: Cidr[]
}

/** Netavark's networks in a folder. */
export function netavarkNetworks(folder: string): NetavarkNetwork[] {
  const files = listNames(folder).filter(name => name.endsWith('.json'))
  return files.flatMap(file => {
    const {
      name,
      id,
      driver,
      options,
      subnets,
      network_interface: bridge,
    } = readJson(join(folder, file)) ?? {}
    if (typeof name !== 'string' || !(Array.isArray(subnets) || typeof driver === 'string')) return []
    return {
      name,
      ...(typeof id === 'string' && { id }),
      ...(typeof driver === 'string' && { driver }),
      options: typeof options === 'object' && options !== null ? { ...options } : {},
      ...(typeof bridge === 'string' && { bridge }),
      subnets: (Array.isArray(subnets) ? subnets : []).flatMap((each: { subnet?: unknown } | null) =>
        cidrsIn(each?.subnet),
      ),
    }
  })
}

/** None in what is no prefix. */
export function cidrsIn(value: unknown): Cidr[] {
  if (typeof value !== 'string') return []
  try {
    return [parseCidr(value)]
  } catch {
    return []
  }
}

/** Keys under which IPAM plugins (host-local, static, whereabouts) have the addresses that they give. */
const KEYS = ['subnet', 'subnet6', 'range', 'address']

/** Of a plugin in a list: those that its addresses are of, on this host or on many. */
export const subnetsOf = ({ ipam, hosts }: Record<string, unknown>): Cidr[] => subnetsIn([ipam, hosts])

/** Of an `ipam` section, whoever's it is. */
export function subnetsIn(ipam: unknown): Cidr[] {
  if (Array.isArray(ipam)) return ipam.flatMap(subnetsIn)
  if (typeof ipam !== 'object' || ipam === null) return []
  return Object.entries(ipam).flatMap(([key, value]) =>
    typeof value === 'string' && KEYS.includes(key.toLowerCase())
      ? cidrsIn(value).map(networkOf)
      : subnetsIn(value),
  )
}
