/**
 * What a runtime's CNI library does with a network list: hands each plugin the list's name and version, the
 * capabilities it declares and the result of the plugin before it. ADD runs the list forwards, DEL backwards.
 */

import { readFileSync } from 'node:fs'

/** A conflist, as `/etc/cni/net.d/*.conflist` holds it. */
export interface NetworkList {
  cniVersion: string
  name: string
  plugins: PluginConfig[]
}

export interface PluginConfig {
  type: string
  capabilities?: Record<string, boolean>
  [key: string]: unknown
}

/** One container's call. */
export interface Call {
  containerId: string
  /** Path; empty where the namespace is gone. */
  netns: string
  ifname: string
  /** CNI_ARGS. */
  args?: string
  /** What the runtime offers; each plugin gets the parts that it declares. */
  capabilities?: Record<string, unknown>
}

/** The part of a CNI result that tests look at. */
export interface Result {
  cniVersion: string
  interfaces?: { name: string; mac?: string; mtu?: number; sandbox?: string }[]
  ips?: { address: string; gateway?: string; interface?: number }[]
  routes?: { dst: string; gw?: string }[]
  [key: string]: unknown
}

/** Runs a plugin by its type. */
export type Execute = (
  type: string,
  environment: Record<string, string>,
  stdin: string,
) => Outcome | Promise<Outcome>

export interface Outcome {
  /** The exit code. */
  code: number | null
  stdout: string
  stderr: string
}

/** A plugin answered with an error object, or with nothing that can be read. */
export class PluginError extends Error {
  readonly plugin: string
  /** The spec's code; undefined where the plugin said none. */
  readonly code: number | undefined

  constructor(plugin: string, message: string, code?: number) {
    super(`${plugin}: ${message}`)
    this.plugin = plugin
    this.code = code
  }
}

/** Runs ADD of each plugin in turn. @throws PluginError from the first that fails */
export async function addNetworkList(list: NetworkList, call: Call, execute: Execute): Promise<Result> {
  let result: Result | undefined
  for (const plugin of withCapabilities(list, call.capabilities ?? {}).plugins) {
    const output = await invoke('ADD', list, plugin, call, result, execute)
    result = JSON.parse(output) as Result
  }
  if (result === undefined) throw new Error(`the list ${list.name} has no plugins`)
  return result
}

/** Runs DEL of each plugin, last one first. @throws PluginError from the first that fails */
export async function deleteNetworkList(
  list: NetworkList,
  call: Call,
  result: Result | undefined,
  execute: Execute,
): Promise<void> {
  const { plugins } = withCapabilities(list, call.capabilities ?? {})
  for (const plugin of plugins.toReversed()) await invoke('DEL', list, plugin, call, result, execute)
}

/** Runs CHECK of each plugin in turn. @throws PluginError from the first that fails */
export async function checkNetworkList(
  list: NetworkList,
  call: Call,
  result: Result,
  execute: Execute,
): Promise<void> {
  const { plugins } = withCapabilities(list, call.capabilities ?? {})
  for (const plugin of plugins) await invoke('CHECK', list, plugin, call, result, execute)
}

/** The list with what a runtime injects in each plugin that declares the capability. */
export function withCapabilities(list: NetworkList, offered: Record<string, unknown>): NetworkList {
  const plugins = list.plugins.map(plugin => {
    const wanted = Object.entries(offered).filter(([name]) => plugin.capabilities?.[name] === true)
    return wanted.length === 0 ? plugin : { ...plugin, runtimeConfig: Object.fromEntries(wanted) }
  })
  return { ...list, plugins }
}

/** The configuration that a plugin reads on stdin. */
function pluginInput(list: NetworkList, plugin: PluginConfig, previous: Result | undefined): string {
  const { cniVersion, name } = list
  const prevResult = previous === undefined ? {} : { prevResult: previous }
  return JSON.stringify({ ...plugin, cniVersion, name, ...prevResult })
}

/** Reads one of the lists of conf/. */
export const readNetworkList = (name: string): NetworkList =>
  JSON.parse(readFileSync(`conf/${name}.conflist`, 'utf8')) as NetworkList

async function invoke(
  command: string,
  list: NetworkList,
  plugin: PluginConfig,
  call: Call,
  previous: Result | undefined,
  execute: Execute,
): Promise<string> {
  const environment = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: call.containerId,
    CNI_NETNS: call.netns,
    CNI_IFNAME: call.ifname,
    CNI_ARGS: call.args ?? '',
  }
  const { code, stdout, stderr } = await execute(
    plugin.type,
    environment,
    pluginInput(list, plugin, previous),
  )
  if (code === 0) return stdout
  throw pluginError(plugin.type, `${stdout}${stderr}`, stdout)
}

function pluginError(type: string, output: string, stdout: string): PluginError {
  try {
    const { msg, details, code } = JSON.parse(stdout) as { msg: string; details?: string; code: number }
    return new PluginError(type, details === undefined ? msg : `${msg}; ${details}`, code)
  } catch {
    return new PluginError(type, output.trim() || 'failed and said nothing')
  }
}

/** The list with more keys in each of its plugins. */
export const withKeys = (list: NetworkList, keys: Record<string, unknown>): NetworkList => ({
  ...list,
  plugins: list.plugins.map(plugin => ({ ...plugin, ...keys })),
})
