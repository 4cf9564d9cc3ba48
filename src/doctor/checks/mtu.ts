/** That packets which fit a container's interface fit all the way out. */

import { uplinkMtu } from '../../bridge/bridge.ts'
import type { Check, Found } from '../fault.ts'
import { called, type Patient } from '../patient.ts'

export const mtu: Check<Patient> = {
  name: 'mtu',
  about: 'what fits the container fits the way out',
  look: ({ attached }) => {
    const out = uplinkMtu()
    if (out === undefined) return []
    return attached.flatMap((each): Found[] => {
      const { mtu, name } = each.attachment.containerInterface
      if (mtu <= out) return []
      return [
        {
          on: called(each),
          what: `${name} takes packets of ${mtu} bytes, and the host's way out ${out}`,
          why: 'large answers hang wherever the notice "fragmentation needed" is filtered: a page begins, and never ends',
          cure: `"mtu": ${out} in the network's list, or tsnet network create --mtu ${out}; then attach the containers anew`,
        },
      ]
    })
  },
}
