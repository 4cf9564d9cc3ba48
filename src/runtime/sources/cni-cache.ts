/**
 * Containers that a CNI runtime attached, from the cache that libcni keeps:
 * `/var/lib/cni/results/<network>-<container>-<interface>`.
 */

import { join } from 'node:path'
import { listNames, readJson } from '../files.ts'
import type { Found } from '../found.ts'

export function listCniCache(folder: string): Found[] {
  return listNames(folder).flatMap(name => {
    const cached = readJson(join(folder, name))
    const { kind, containerId, netns } = cached ?? {}
    if (kind !== 'cniCacheV1' || typeof containerId !== 'string' || typeof netns !== 'string') return []
    return [{ runtime: 'cni' as const, id: containerId, name: containerId, netnsPath: netns }]
  })
}
