/** The kernel's part of a publication: what it is, and how it comes and goes. */

import type { Family } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import type { Container, Publication } from '../model/publication.ts'
import { chooseBackend, flushConntrack, forwardDrops } from '../nat/nat.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { listRoutes } from '../netlink/route.ts'
import { inside } from '../netns/netns.ts'
import { openRecorded } from './container.ts'
import { familiesOf } from './plan.ts'
import { natPart, portsOf } from './publish-plan.ts'
import { admitGuest, dismissGuest, installRules, withdrawRules } from './shared.ts'

/**
 * The rules that a publication needs; none where what they let pass would be dropped by others'.
 * @throws TsnetError for `--mode nat` then
 */
export function rulesFor(publication: Publication, configured: NatBackend | undefined): Publication['nat'] {
  const routed = routedFamilies(publication.containers[0]?.netns)
  const part = natPart(publication, family => routed.includes(family))
  if (part === undefined) return undefined
  const backend = chooseBackend(configured)
  if (backend !== 'nftables' || !forwardDrops(familiesOf(part.ports.addresses))) return { backend, ...part }
  if (publication.mode === 'auto') return undefined
  throw new TsnetError(
    'unsupported-field',
    "--mode nat: iptables' FORWARD drops by policy, which nftables cannot overrule; use TSNET_NAT=iptables or --mode proxy",
  )
}

export async function addRules(publication: Publication): Promise<void> {
  const { id, nat } = publication
  if (nat === undefined) return
  await admitGuest(nat.backend, nat.guest, id)
  await installRules(nat.backend, nat.ports)
  // A flow that the proxy served until now would keep its old way.
  flushConntrack([], [portsOf(publication)])
}

export async function removeRules({ id, nat }: Publication): Promise<void> {
  if (nat === undefined) return
  await withdrawRules(nat.backend, id, nat.ports)
  await dismissGuest(nat.backend, nat.guest, id)
}

/**
 * Families in which a container has a default route. What rules lead there comes from the client itself, and
 * without one the answer goes nowhere; the proxy is a neighbour.
 */
function routedFamilies(container: Container['netns'] | undefined): Family[] {
  using netns = container && openRecorded(container)
  if (netns === undefined) return []
  return inside(netns, () => {
    using nl = openNetlink()
    return ([4, 6] as const).filter(family =>
      listRoutes(nl, { family, onlyDefault: true }).some(({ type }) => type === 'unicast'),
    )
  })
}
