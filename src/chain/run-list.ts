/**
 * ADD and DEL of a list. Each plugin gets the list's name and version, of what the runtime offers the parts
 * that it declares, and the result of the plugin before it; DEL goes backwards, with the result of all.
 *
 * Source: CNI 1.1.0, "Section 3" and libcni.
 */

import { messageOf, TsnetError } from '../model/errors.ts'
import { everyStep } from '../model/undo.ts'
import type { ListCall } from '../networks/cache.ts'
import type { Host } from '../networks/places.ts'
import type { RawResult } from '../networks/result.ts'
import { atLeast, type Version, versions } from '../runtime/cni-versions.ts'
import type { NetworkList, PluginConfig } from '../runtime/conflist.ts'
import { invoke, type Question, textOf } from './invoke.ts'

/** @throws TsnetError `delegate`, naming the plugin; what the others had done is then undone */
export async function addList(list: NetworkList, call: ListCall, host: Host): Promise<RawResult> {
  let result: RawResult | undefined
  for (const plugin of list.plugins) {
    try {
      result = readResult(plugin, await ask('ADD', list, plugin, call, result, host))
    } catch (thrown) {
      const left = await deleteList(list, call, result, host).then(() => '', messageOf)
      throw failed(list, plugin, thrown, left)
    }
  }
  if (result === undefined) throw new TsnetError('invalid-config', `network ${list.name} has no plugins`)
  return result
}

/**
 * Asks every plugin, the last one first, whatever fails.
 * @throws the error, or an AggregateError, after having tried all
 */
export async function deleteList(
  list: NetworkList,
  call: ListCall,
  result: RawResult | undefined,
  host: Host,
): Promise<void> {
  // Before 0.4.0, DEL was not told what ADD had made.
  const isOld =
    versions.some(known => known === list.cniVersion) && !atLeast(list.cniVersion as Version, '0.4.0')
  const known = isOld ? undefined : result
  await everyStep(
    list.plugins.toReversed().map(plugin => async () => {
      try {
        await ask('DEL', list, plugin, call, known, host)
      } catch (thrown) {
        throw failed(list, plugin, thrown)
      }
    }),
  )
}

/** The calls of ADD or DEL, in their order, each as it would be typed; what plugins of ADD answer is not known before. */
export function callsOf(
  command: 'ADD' | 'DEL',
  list: NetworkList,
  call: ListCall,
  host: Host,
  result?: RawResult,
): string[] {
  const plugins = command === 'ADD' ? list.plugins : list.plugins.toReversed()
  return plugins.map(plugin => textOf(questionOf(command, list, plugin, call, result, host)))
}

const ask = (...words: Parameters<typeof questionOf>): Promise<string> =>
  invoke(questionOf(...words), words[5])

function questionOf(
  command: 'ADD' | 'DEL',
  { name, cniVersion }: NetworkList,
  plugin: PluginConfig,
  call: ListCall,
  prevResult: RawResult | undefined,
  host: Host,
): Question {
  const offered = plugin.capabilities.filter(capability => Object.hasOwn(call.capabilities, capability))
  const runtimeConfig = Object.fromEntries(offered.map(each => [each, call.capabilities[each]]))
  return {
    type: plugin.type,
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: call.containerId,
      CNI_NETNS: call.netns,
      CNI_IFNAME: call.ifname,
      CNI_ARGS: call.args.map(pair => pair.join('=')).join(';'),
      CNI_PATH: host.path.join(':'),
    },
    config: {
      ...plugin.config,
      name,
      cniVersion,
      ...(offered.length > 0 && { runtimeConfig }),
      ...(prevResult !== undefined && { prevResult }),
    },
  }
}

function readResult(plugin: PluginConfig, stdout: string): RawResult {
  try {
    const result: unknown = JSON.parse(stdout)
    if (typeof result === 'object' && result !== null) return result as RawResult
  } catch {
    // said below
  }
  throw new TsnetError('delegate', `${plugin.type} answered with no result`)
}

/** The plugin's own error under its name, and what could not be undone. */
function failed(list: NetworkList, plugin: PluginConfig, thrown: unknown, left = ''): TsnetError {
  const known = thrown instanceof TsnetError ? thrown : undefined
  const details = [known?.details, left !== '' && `and not all of it could be taken back: ${left}`].filter(
    Boolean,
  )
  return new TsnetError(
    known?.code ?? 'delegate',
    `network ${list.name}: ${plugin.type}: ${messageOf(thrown)}`,
    {
      cause: thrown,
      ...(details.length > 0 && { details: details.join('\n') }),
      ...(known?.pluginCode !== undefined && { pluginCode: known.pluginCode }),
    },
  )
}
