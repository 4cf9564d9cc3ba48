/** Networks that a list of whom containers may reach has, and that are not there. */

import { isOfNetwork } from '../../model/address/reach.ts'
import { messageOf } from '../../model/errors.ts'
import { permissionsOf } from '../../network/reach/reach.ts'
import type { Host } from '../places.ts'
import { otherNetworks } from '../taken.ts'
import { error, type Finding } from './finding.ts'
import type { PluginLint } from './plugin.ts'

/** @param plugins of one list, which is among those of the host */
export function networksAllowed(plugins: readonly PluginLint[], host: Host): Finding[] {
  const entries = plugins.flatMap(({ network }) => network?.reach?.allow.filter(isOfNetwork) ?? [])
  if (entries.length === 0) return []
  const networks = otherNetworks(host)
  return entries.flatMap(entry => {
    try {
      permissionsOf(entry, networks)
      return []
    } catch (thrown) {
      return [error(messageOf(thrown))]
    }
  })
}
