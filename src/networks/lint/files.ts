/** Whether the plugins that a list names are there, and speak its version. */

import { realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isPluginName } from '../../cni/config/names.ts'
import { execPlugin } from '../../ipam/exec-plugin.ts'
import { messageOf } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import { didYouMean } from '../../model/nearest.ts'
import type { NetworkList } from '../../runtime/conflist.ts'
import { namesIn } from '../../runtime/folder.ts'
import type { Host } from '../places.ts'
import { error, type Finding, warning } from './finding.ts'

export async function findingsOfFiles(list: NetworkList, index: number, host: Host): Promise<Finding[]> {
  const { type = '', config = {} as Record<string, unknown> } = list.plugins[index] ?? {}
  const ipam = (config.ipam as { type?: unknown } | undefined)?.type
  const named = [
    { key: 'type', plugin: type },
    ...(typeof ipam === 'string' && ipam !== '' && !isWithin(type, ipam, host)
      ? [{ key: 'ipam.type', plugin: ipam }]
      : []),
  ]
  return (await Promise.all(named.map(each => findingsOf(each.key, each.plugin, list, host)))).flat()
}

/** host-local is what our own plugins do in their process, also where they are called by the reference's names. */
function isWithin(type: string, ipam: string, host: Host): boolean {
  if (ipam !== 'host-local') return false
  if (type === 'tsnet') return true
  const [own, other] = [find('tsnet', host), find(type, host)]
  return own !== undefined && other !== undefined && realpathSync(own) === realpathSync(other)
}

function find(plugin: string, { path }: Host): string | undefined {
  return path
    .map(folder => join(folder, plugin))
    .find(file => statSync(file, { throwIfNoEntry: false })?.isFile())
}

/** Beyond that a runtime's own call would be late too. */
const WITHIN_MS = 10_000

async function findingsOf(key: string, plugin: string, list: NetworkList, host: Host): Promise<Finding[]> {
  if (!isPluginName(plugin)) return [error(`${key}: ${shown(plugin)} is not the file name of a plugin`)]
  if (find(plugin, host) === undefined) {
    const there = [...new Set(host.path.flatMap(namesIn))]
    return [
      error(
        `${key}: there is no plugin ${shown(plugin)} in ${host.path.join(', ')}${didYouMean(plugin, there)}`,
      ),
    ]
  }
  try {
    const { cniVersion } = list
    const answer = await execPlugin({
      plugin,
      path: host.path,
      env: { CNI_COMMAND: 'VERSION', CNI_PATH: host.path.join(':') },
      config: { cniVersion },
      key: 'type',
      timeoutMs: WITHIN_MS,
    })
    const spoken = (JSON.parse(answer) as { supportedVersions?: unknown }).supportedVersions
    if (!Array.isArray(spoken)) throw new Error('it answers without supportedVersions')
    if (spoken.includes(cniVersion)) return []
    const all = spoken.filter(each => typeof each === 'string').join(', ')
    return [error(`cniVersion: ${shown(cniVersion)} is not spoken by ${plugin}, which speaks ${all}`)]
  } catch (thrown) {
    return [warning(`${key}: ${plugin} does not say which versions it speaks: ${messageOf(thrown)}`)]
  }
}
