/** Who serves the ports of an attachment tells its names, too, and is on its network with other hosts. */

import type { HostTrouble, PortHolder } from '../../control/held-ports.ts'
import { everyOne } from '../../model/undo.ts'
import type { AttachmentPorts } from '../../publish/attachment-ports.ts'
import type { Names } from './names.ts'

export const holderWith = (
  attachments: AttachmentPorts,
  names: Names,
  hostNetworks: { troubles(): HostTrouble[] },
): PortHolder => ({
  async serve(owner) {
    await attachments.serve(owner)
    await names.serve(owner)
  },
  release: owner => everyOne([attachments.release(owner), names.release(owner)]),
  troubles: async ({ name }) =>
    [...names.troubles(name), ...hostNetworks.troubles().filter(({ network }) => network === name)].map(
      ({ why }) => why,
    ),
})
