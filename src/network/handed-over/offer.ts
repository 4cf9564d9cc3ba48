/** Makes an attachment whose container is in no namespace yet. */

import { checkBridgeOptions } from '../../bridge/bridge.ts'
import { TsnetError } from '../../model/errors.ts'
import { type Attachment, type AttachRequest, NOWHERE, ownerTag } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { shortName } from '../../model/publication/container-name.ts'
import { withUndo } from '../../model/undo.ts'
import { checkEgress } from '../../ports/egress.ts'
import { isWaiting } from '../../records/dead.ts'
import { readEntry, whileLocked } from '../../records/records.ts'
import { placedHere } from '../addresses.ts'
import { build } from '../build.ts'
import type { Context } from '../context.ts'
import { reachAsked } from '../reach/reach.ts'
import { takeDownEntry } from '../take-down.ts'

/** An attachment whose container is in no namespace that anybody knows yet. */
export interface OfferRequest extends Omit<AttachRequest, 'netns' | 'ports'> {
  /** The container's end, as it is called until somebody takes it. */
  link: string
  /** Who takes it, see netns/processes.ts. */
  by: string
}

/**
 * Does all of it but for what is within the container: its end of the link waits for its runtime to take it there
 * (settle.ts). What is made under this key already, and not taken yet, is made anew.
 * @throws TsnetError; the host is then as it was before
 */
export async function offer(asked: OfferRequest, context: Context = {}): Promise<Attachment> {
  const { link, by, reach: _, ...rest } = asked
  const { network, peers } = placedHere(asked.network)
  if (network.ipam.kind === 'delegated' || network.dropIn)
    throw new TsnetError(
      'unsupported-field',
      `network ${network.name}: its addresses are given by another plugin, which needs a container that runs already`,
    )
  const reach = reachAsked(asked, context)
  const request = { ...rest, netns: NOWHERE.path, ports: [], network, ...present({ peers, reach }) }
  checkBridgeOptions(network.bridge, network.ipam.kind !== 'none')
  checkEgress(network)
  const owner = ownerTag({ ...request, network: network.name })
  return await whileLocked(owner, async () => {
    const entry = readEntry(owner)
    if (entry?.state === 'attached' && !isWaiting(entry.attachment))
      throw new TsnetError(
        'conflict',
        `${shortName(request.containerId)} is on network ${network.name} already`,
      )
    if (entry !== undefined) await takeDownEntry(owner, entry.attachment)
    const handedOver = { link, by, since: new Date().toISOString() }
    return withUndo(undo => build(request, owner, { handedOver }, context, undo))
  })
}
