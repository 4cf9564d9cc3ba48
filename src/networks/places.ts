/** Where a runtime of this host has its networks, plugins and cache. */

import type { Operations } from '../cni/plugin.ts'
import { CONF_DIR } from '../runtime/conflist.ts'
import { placesOf } from '../runtime/places.ts'

export interface Host {
  /** Folder of network lists. */
  confDir: string
  /** Where plugins are looked for. */
  path: string[]
  /** Folder of libcni's entries. */
  cache: string
  /** What plugins find in their environment beside the call. */
  env: Record<string, string | undefined>
  /** What does the work of our own plugin; absent: as the environment says, with the daemon or without. */
  operations?: () => Promise<Operations>
}

/** Where distributions and CNI itself put plugins. */
const PLUGIN_FOLDERS = ['/opt/cni/bin', '/usr/local/libexec/cni', '/usr/libexec/cni', '/usr/lib/cni']

/** NETCONFPATH and CNI_PATH are those of cnitool. */
export function hostOf(env: Host['env'], confDir?: string): Host {
  const path = env.CNI_PATH?.split(':').filter(folder => folder !== '') ?? []
  return {
    confDir: confDir ?? (env.NETCONFPATH || CONF_DIR),
    path: path.length > 0 ? path : PLUGIN_FOLDERS,
    cache: placesOf(env).cniCache,
    // Ours looks up networks there that a list has.
    env: confDir === undefined ? env : { ...env, NETCONFPATH: confDir },
  }
}
