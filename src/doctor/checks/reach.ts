/** What a container was denied by the list of whom it may reach. */

import { isSecret, permissionText } from '../../model/address/reach.ts'
import { type Refused, readRefused } from '../../nat/nat.ts'
import { isToOne, permissionFor } from '../../network/reached.ts'
import type { Check, Found } from '../fault.ts'
import { type Attached, called, type Patient } from '../patient.ts'

/** Told of a container that somebody asks about: a list is there to deny, so of the host it is nothing to mend. */
export const reach: Check<Patient> = {
  name: 'reach',
  about: 'of a container that is asked about: its list (`egress.allow`) denied nothing in the last hour',
  look: ({ subject, attached }) => (subject.kind === 'container' ? attached.flatMap(deniedTo) : []),
}

const TOLD = 3

function deniedTo(each: Attached): Found[] {
  const { owner, attachment } = each
  if (attachment.reach === undefined) return []
  const denied = readRefused(owner).filter(isToOne(attachment))
  if (denied.length === 0) return []
  const entries = [...new Set(denied.map(one => permissionText(permissionFor(one))))]
  const told = entries.slice(0, TOLD).map(entry => `"${entry}"`)
  const more = entries.length - told.length
  const warning = denied.some(({ to }) => isSecret(to)) ? '. Clouds tell secrets at some of these' : ''
  return [
    {
      on: called(each),
      what: `denied by egress: ${denied.slice(0, TOLD).map(wordsOf).join(', ')}${more > 0 ? `, and ${more} more` : ''}`,
      why: 'its list does not have it, so what the container sends there is dropped, and its connections wait in vain',
      cure: `if it should reach that, ${told.join(', ')} in egress.allow, then attach it anew, or in its own list: tsnet egress set; tsnet egress ${attachment.aliases.at(-1) ?? attachment.containerId} tells all${warning}`,
    },
  ]
}

/** `192.0.2.9 443/tcp 4 times`. */
const wordsOf = ({ to, protocol, port, packets }: Refused): string =>
  `${to} ${port === undefined ? protocol : `${port}/${protocol}`} ${packets === 1 ? 'once' : `${packets} times`}`
