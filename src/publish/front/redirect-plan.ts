/** Of what the proxy serves, what the kernel can lead to the container itself (redirect/). */

import { familyOf, isLoopback, isUnspecified } from '../../model/address/address.ts'
import { ipOfHost } from '../../model/address/host.ts'
import type { Publication } from '../../proxy/proxy.ts'
import type { RedirectPlan } from '../../redirect/redirect.ts'
import { needOfRelay } from '../relay.ts'

/**
 * Loopback ports of one container that this host reaches itself, and nothing that takes somebody in between.
 * @returns the plan, or in words why there is none; undefined while there is nothing to lead to
 */
export function redirectPlan(publication: Publication): RedirectPlan | string | undefined {
  const { protocol, hostIps, hostPort, count, targets, options = {} } = publication
  if (protocol !== 'tcp') return `only TCP is redirected, not ${protocol.toUpperCase()}`
  const need = needOfRelay(protocol, options)
  if (need !== undefined) return need
  const on =
    hostIps === undefined
      ? ([4, 6] as const)
      : hostIps
          .filter(ip => isUnspecified(ip) || isLoopback(ip))
          .map(ip => (isUnspecified(ip) ? familyOf(ip) : ipOfHost(ip)))
  if (on.length === 0) return `${hostIps?.join(', ')} is no address of loopback`
  const [target, ...others] = targets
  if (target === undefined) return undefined
  if (others.length > 0) return 'only the proxy shares the load of several containers'
  if ('path' in target) return 'a socket path can be reached by the proxy alone'
  if ('own' in target || target.netns !== undefined)
    return 'what is reached from inside a namespace needs the proxy'
  return { on, hostPort, count, target: { ip: target.ip, port: target.port } }
}
