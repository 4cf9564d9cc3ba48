/** The kernel's part of a publication: what it is, and how it comes and goes. */

import type { Family } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import { present } from '../model/present.ts'
import type { Container, Publication } from '../model/publication.ts'
import { chooseBackend, flushConntrack } from '../nat/nat.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { listRoutes } from '../netlink/route.ts'
import { inside } from '../netns/netns.ts'
import { openRecorded } from './container.ts'
import { judgePublished, type Prospect } from './foreign-rules.ts'
import { familiesOf } from './plan.ts'
import { natPart, portsOf } from './publish-plan.ts'
import { admitGuest, dismissGuest, installRules, withdrawRules } from './shared.ts'

/** What the kernel does for a publication, and why it does not, or perhaps not. */
export type KernelPart = Pick<Publication, 'nat' | 'natObstacle'>

/**
 * The rules that a publication needs; none in families in which what they let pass is dropped by others', where
 * `auto` can do without.
 * @throws TsnetError for `--mode nat` then
 */
export function rulesFor(publication: Publication, configured: NatBackend | undefined): KernelPart {
  const { isRefused, ...part } = decide(publication, configured)
  if (!isRefused) return part
  throw new TsnetError('unsupported-field', `--mode nat: ${part.natObstacle}`, {
    details: 'let it through there, before that rule; or use --mode auto or proxy',
  })
}

/** What is in the way of the kernel's part of a publication by the rules that there are now. @throws TsnetError */
export function obstacleOf(
  publication: Publication,
  configured: NatBackend | undefined,
): Publication['natObstacle'] {
  const { nat, natObstacle } = publication
  // What it has no rules for, others' rules aside, is not for the kernel.
  if (natObstacle === undefined) return nat && sentenceOf(publication, judgePublished(nat.backend, nat.ports))
  return decide(publication, configured).natObstacle
}

/** Undefined, too, where the kernel serves better all the same. */
function sentenceOf({ mode }: Publication, prospects: readonly Prospect[]): string | undefined {
  const inTheWay = prospects.filter(({ isBetter }) => mode === 'nat' || !isBetter)
  return inTheWay.map(({ obstacle }) => obstacle).join('; and ') || undefined
}

/** `isRefused`: for `--mode nat`, since nobody would get through. */
function decide(
  publication: Publication,
  configured: NatBackend | undefined,
): KernelPart & { isRefused: boolean } {
  const routed = routedFamilies(publication.containers[0]?.netns)
  const part = natPart(publication, family => routed.includes(family))
  if (part === undefined) return { isRefused: false }
  const backend = publication.nat?.backend ?? chooseBackend(configured)
  const prospects = judgePublished(backend, part.ports)
  const natObstacle = sentenceOf(publication, prospects)
  const isNat = publication.mode === 'nat'
  const closed = prospects.filter(({ isBetter }) => !isNat && !isBetter).map(({ family }) => family)
  const open = routed.filter(family => !closed.includes(family))
  const left = familiesOf(part.ports.addresses).some(family => open.includes(family))
    ? natPart(publication, family => open.includes(family))
    : undefined
  return {
    ...present({ nat: left && { backend, ...left }, natObstacle }),
    isRefused: isNat && prospects.some(({ isSure }) => isSure),
  }
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
