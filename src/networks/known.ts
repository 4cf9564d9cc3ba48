/**
 * What is known of the attachments of this host, whoever made them: libcni's cache, in which ctr, Kubernetes,
 * nerdctl and podman write as we do, and tsnet's own records.
 *
 *     ctr run --cni … web        default-web          go-cni: containerd's namespace and the id
 *     podman run --name web      4f2a…                its id, and its name as K8S_POD_NAME
 *     a pod, shop/web            91c0…                the sandbox's id, and K8S_POD_NAMESPACE, K8S_POD_NAME
 *     tsnet attach front web     as it is called in its namespace already, else as its runtime would call it
 *
 * A container is one network namespace. So what is in the same namespace is the same container, whatever it is
 * called by: what was written down leads there, and the interface is there. Paths are used again, so it must
 * also be the same inode that we recorded, or else the MAC of the result.
 */

import { statSync } from 'node:fs'
import type { AttachmentKey, NamespaceId } from '../model/network.ts'
import { sameNamespace } from '../netns/netns.ts'
import { listEntries } from '../records/records.ts'
import { type CachedAttachment, listCached } from './cache.ts'
import { type Interfaces, identityAt, interfacesOf } from './inside.ts'
import type { Host } from './places.ts'

export interface Known extends AttachmentKey {
  /** Path of its namespace; empty where none was written down. */
  netns: string
  /** What the path led to; absent where that was not written down. */
  id?: NamespaceId
  /** Of its interface; absent where it was not written down, or may have changed since. */
  mac?: string
  /** Words that people and runtimes have for it, beside the id. */
  names: readonly string[]
  /** As libcni has it; absent where only our own record speaks of it. */
  cached?: CachedAttachment
}

export function listKnown(host: Host): Known[] {
  const cached = listCached(host.cache).map(fromCache)
  const recorded = listEntries().map(({ entry: { attachment } }): Known => {
    const { network, containerId, ifname, netns, aliases } = attachment
    return { network, containerId, ifname, netns: netns.path, id: netns, names: aliases }
  })
  const isCached = (key: AttachmentKey) => cached.some(each => isSame(each, key))
  return [...cached, ...recorded.filter(each => !isCached(each))]
}

const isSame = (a: AttachmentKey, b: AttachmentKey): boolean =>
  a.network === b.network && a.containerId === b.containerId && a.ifname === b.ifname

function fromCache(cached: CachedAttachment): Known {
  const { network, containerId, ifname, args, result } = cached
  const { interfaces } = result as { interfaces?: unknown }
  const inside = (Array.isArray(interfaces) ? interfaces : []).find(
    (each: { name?: unknown; sandbox?: unknown }) => each?.name === ifname && each?.sandbox,
  ) as { mac?: string; sandbox?: string } | undefined
  const arg = (name: string) => args.find(([key]) => key === name)?.[1]
  const [pod, space] = [arg('K8S_POD_NAME'), arg('K8S_POD_NAMESPACE')]
  const names = pod === undefined ? [] : [pod, ...(space === undefined ? [] : [`${space}/${pod}`])]
  // podman's cache names the namespace in the result alone.
  const netns = cached.netns || (inside?.sandbox ?? '')
  return { network, containerId, ifname, netns, names, cached, ...(inside?.mac && { mac: inside.mac }) }
}

/** True where an attachment is that of the container with this namespace and these interfaces. */
export function isThere(known: Known, netns: NamespaceId, interfaces: Interfaces): boolean {
  const mac = interfaces.get(known.ifname)
  if (mac === undefined || (known.mac !== undefined && known.mac !== mac)) return false
  if (known.id !== undefined && !sameNamespace(known.id, netns)) return false
  try {
    return sameNamespace(statSync(known.netns), netns)
  } catch {
    return false
  }
}

/** True where its namespace is there, and its interface in it. */
export const isAlive = (known: Known): boolean => homeOf(known) !== undefined

/** True where it is alive, and not in this namespace. */
export function livesElsewhere(known: Known, netns: NamespaceId): boolean {
  const home = homeOf(known)
  return home !== undefined && !sameNamespace(home, netns)
}

function homeOf(known: Known): NamespaceId | undefined {
  try {
    const home = identityAt(known.netns)
    return isThere(known, home, interfacesOf(known.netns)) ? home : undefined
  } catch {
    return undefined
  }
}
