/** By which id a container is known to plugins, which only take letters, digits and a few marks. */

import { isPluginName } from '../cni/names.ts'
import type { Runtime } from '../model/publication.ts'
import { sha256 } from '../model/sha256.ts'
import { listEntries } from '../network/state.ts'
import { parseReference } from '../runtime/reference.ts'
import { listCached } from './cache.ts'
import type { Host } from './places.ts'

/**
 * The runtime's id; of a namespace its name below /run/netns. The same each time, so that what joined can
 * leave when nothing but the word for it is left.
 */
export function containerIdOf({ runtime, id, name }: { runtime: Runtime; id: string; name: string }): string {
  const plain = {
    netns: name.replace(/^(\/var)?\/run\/netns\//, ''),
    pid: `pid-${name}`,
  }
  const text = runtime === 'netns' || runtime === 'pid' ? plain[runtime] : id
  // The same pattern holds for the ids of containers.
  return isPluginName(text) ? text : `${runtime}-${sha256(text).slice(0, 16)}`
}

/** Ids by which a container, running or not, is written down on a network. */
export function remembered(word: string, network: string, host: Host): string[] {
  const { runtime, name } = parseReference(word)
  const id = runtime === 'netns' || runtime === 'pid' ? containerIdOf({ runtime, id: name, name }) : name
  const cached = listCached(host.cache).map(({ args, ...key }) => ({
    ...key,
    names: args.flatMap(([key, value]) => (key === 'K8S_POD_NAME' ? [value] : [])),
  }))
  const recorded = listEntries().map(({ entry: { attachment } }) => ({
    ...attachment,
    names: attachment.aliases,
  }))
  const known = [...cached, ...recorded].filter(each => each.network === network)
  const fits = known.filter(each => each.containerId === id || each.names.includes(name))
  // A runtime's scope in front of the id, or only the beginning of a long one.
  const short = name.split('/').at(-1) ?? ''
  const close = known.filter(each => short.length >= 12 && each.containerId.startsWith(short))
  return [...new Set((fits.length > 0 ? fits : close).map(each => each.containerId))]
}
