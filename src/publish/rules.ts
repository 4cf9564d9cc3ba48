/** The kernel's part of a publication: what it is, and how it comes and goes. */

import { type Family, familiesOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { NatBackend, NatIntent } from '../model/network.ts'
import { present } from '../model/present.ts'
import type { Container, Publication } from '../model/publication/publication.ts'
import { chooseBackend, flushConntrack } from '../nat/nat.ts'
import { openRecorded } from '../netns/container.ts'
import { admitGuest, dismissGuest, installRules, withdrawRules } from '../network/shared.ts'
import { judgePublished, type Prospect } from '../ports/foreign-rules.ts'
import { closeHairpin, isolationObstacle, openHairpin } from '../ports/hairpin.ts'
import { answeringFamilies } from '../runtime/network-view.ts'
import { natPart, portsOf } from './plan.ts'

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
  if (natObstacle === undefined)
    return nat && sentenceOf(publication, nat.ports, judgePublished(nat.backend, nat.ports))
  return decide(publication, configured).natObstacle
}

/** Undefined, too, where the kernel serves better all the same. */
function sentenceOf(
  { mode, containers }: Publication,
  { addresses }: NatIntent,
  prospects: readonly Prospect[],
): string | undefined {
  const isNat = mode === 'nat'
  const inTheWay = prospects.filter(({ isBetter }) => isNat || !isBetter).map(({ obstacle }) => obstacle)
  const isKept = isNat && containers[0]?.isolated === true
  const isolation = isKept ? isolationObstacle(familiesOf(addresses)) : undefined
  return [...inTheWay, isolation].filter(Boolean).join('; and ') || undefined
}

/** `isRefused`: for `--mode nat`, since nobody would get through. */
function decide(
  publication: Publication,
  configured: NatBackend | undefined,
): KernelPart & { isRefused: boolean } {
  const routed = routedFamilies(publication.containers[0])
  const part = natPart(publication, family => routed.includes(family))
  if (part === undefined) return { isRefused: false }
  const backend = publication.nat?.backend ?? chooseBackend(configured)
  const prospects = judgePublished(backend, part.ports)
  const natObstacle = sentenceOf(publication, part.ports, prospects)
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
  if (nat.bridgePort !== undefined) await openHairpin(nat.bridgePort, id)
  for (const guest of nat.guests) await admitGuest(nat.backend, guest, id)
  await installRules(nat.backend, nat.ports)
  // A flow that the proxy served until now would keep its old way.
  flushConntrack([], [portsOf(publication)])
}

export async function removeRules(publication: Publication): Promise<void> {
  await closePorts(publication)
  await dismiss(publication)
}

/** What is new is led nowhere; connections that there are go on. */
export async function closePorts({ id, nat }: Publication): Promise<void> {
  if (nat !== undefined) await withdrawRules(nat.backend, id, nat.ports)
}

/** What let them through goes as well. */
export async function dismiss({ id, nat }: Publication): Promise<void> {
  if (nat === undefined) return
  for (const guest of nat.guests) await dismissGuest(nat.backend, guest, id)
  if (nat.bridgePort !== undefined) await closeHairpin(nat.bridgePort, id)
}

/** Families in which a container's answers find out of it, by the bridge over which rules lead to it; the proxy is a neighbour. */
function routedFamilies(container: Container | undefined): Family[] {
  if (container?.bridge === undefined) return []
  using netns = openRecorded(container.netns)
  return netns === undefined ? [] : answeringFamilies(netns, container.bridge)
}
