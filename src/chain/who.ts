/** By which id a container is known to plugins, which only take letters, digits and a few marks. */

import { isPluginName } from '../cni/config/names.ts'
import type { Container, Runtime } from '../model/publication/publication.ts'
import { sha256 } from '../model/sha256.ts'
import { identityAt, interfacesOf } from '../networks/inside.ts'
import { isThere, type Known, listKnown } from '../networks/known.ts'
import type { Host } from '../networks/places.ts'
import { placesOf } from '../runtime/places.ts'
import { parseReference } from '../runtime/reference.ts'
import { listNamespaces } from '../runtime/sources/containerd.ts'

/** What of a container its id is made of. */
export type Named = Pick<Container, 'runtime' | 'id' | 'name' | 'reference'>

/**
 * The id by which its runtime's CNI knows it; of a namespace its name below /run/netns. The same each time, so
 * that what joined can leave when nothing but the word for it is left.
 */
export function containerIdOf({ runtime, id, name, reference }: Named): string {
  switch (runtime) {
    case 'netns':
      return plain(runtime, name.replace(/^(\/var)?\/run\/netns\//, ''))
    case 'pid':
      return `pid-${name}`
    case 'containerd':
      return plain(runtime, goCniId(/^containerd:([^/]+)\//.exec(reference)?.[1], id))
    default:
      return plain(runtime, id)
  }
}

/** The same pattern holds for the ids of containers. */
const plain = (runtime: Runtime, text: string): string =>
  isPluginName(text) ? text : `${runtime}-${sha256(text).slice(0, 16)}`

/** Source: go-cni, which ctr and nerdctl use: containerd's namespace and the container's id. */
const goCniId = (space = 'default', id: string): string => `${space}-${id}`

/**
 * The ids by which a running container is on networks, whoever put it there, each once; then the one that its
 * runtime would use, if it is none of them. The first is the one to go on with.
 */
export function idsOf(container: Named & Pick<Container, 'netns'>, host: Host): string[] {
  const home = identityAt(container.netns.path)
  const interfaces = interfacesOf(container.netns.path)
  const here = listKnown(host).filter(each => isThere(each, home, interfaces))
  const own = containerIdOf(container)
  const ids = new Set(here.map(each => each.containerId))
  return ids.has(own) ? [own, ...[...ids].filter(id => id !== own)] : [...ids, own]
}

/** Ids by which a container, running or not, is written down on a network. */
export function remembered(word: string, network: string, host: Host): string[] {
  const reference = parseReference(word)
  const known = listKnown(host).filter(each => each.network === network)
  const fits = [isCalled, isGoCnis, isBeginning].map(fit => known.filter(each => fit(each, reference)))
  const best = fits.find(each => each.length > 0) ?? []
  return [...new Set(best.map(each => each.containerId))]
}

type Fit = (known: Known, reference: ReturnType<typeof parseReference>) => boolean

/** By its id, or a name. */
const isCalled: Fit = ({ containerId, names }, { runtime, name }) => {
  const isNamespace = runtime === 'netns' || runtime === 'pid'
  const id = isNamespace ? containerIdOf({ runtime, id: name, name, reference: '' }) : name
  return containerId === id || names.includes(name)
}

/** As `default-web`, where it is called web, or default/web. */
const isGoCnis: Fit = ({ containerId }, { runtime = 'containerd', name }) => {
  if (runtime !== 'containerd') return false
  const [id = '', space] = name.split('/').toReversed()
  const spaces = space === undefined ? namespacesOfContainerd() : [space]
  return spaces.some(each => containerId === goCniId(each, id))
}

/** By the beginning of a long id, maybe with a runtime's scope in front of it. */
const isBeginning: Fit = ({ containerId }, { name }) => {
  const [short = '', space = 'default'] = name.split('/').toReversed()
  return short.length >= 12 && [short, goCniId(space, short)].some(each => containerId.startsWith(each))
}

/** One whose last container is gone may have no folder any more. */
const namespacesOfContainerd = (): string[] => [
  ...new Set(['default', 'k8s.io', ...listNamespaces(placesOf().containerd)]),
]
