/** The container's side: its namespace, interface, addresses and routes, and what guards it by its addresses. */

import { verifyInside } from '../../bridge/bridge.ts'
import { openRecorded } from '../../netns/container.ts'
import type { Check, Found } from '../fault.ts'
import { type Attached, called, type Patient } from '../patient.ts'

export const container: Check<Patient> = {
  name: 'container',
  about: "the container's interface, addresses and routes are as it got them",
  look: ({ attached }) => attached.flatMap(lookInto),
}

function lookInto(attached: Attached): Found[] {
  const { attachment } = attached
  const on = called(attached)
  using netns = openRecorded(attachment.netns)
  if (netns === undefined) {
    return [
      {
        on,
        what: 'the container is gone, and nobody has taken it off its network',
        why: 'it keeps its address and its ports',
        cure: `have its runtime delete it, or: tsnet detach ${attachment.network} ${attachment.aliases.at(-1) ?? attachment.containerId}`,
      },
    ]
  }
  return verifyInside(attachment, netns).map(what => ({
    on,
    what,
    why:
      / has MAC /.test(what) && attachment.macspoofchk
        ? 'the spoof guard drops all that it sends'
        : / route /.test(what)
          ? 'its answers do not find back to clients'
          : 'it is not reached as its network expects it',
    cure: 'put it back in the container, or restart the container: what is in there is its own',
  }))
}
