/**
 * A pass that is late, in the namespaces this is started in: it knows of publications as they were, and puts back what
 * they lack once they are led elsewhere, or have ended. Says which rules there are then: a JSON object on stdout.
 *
 *     node reconcile-late.js BACKEND
 */

import { type Cidr, parseCidr } from '../../src/model/address/address.ts'
import type { NatBackend, NatIntent } from '../../src/model/network.ts'
import type { Publication } from '../../src/model/publication/publication.ts'
import { owners, verifyRules } from '../../src/nat/nat.ts'
import { readIntents } from '../../src/network/reconcile/intents.ts'
import { putBack, withdrawEnded } from '../../src/network/reconcile/rules.ts'
import { admitGuest, dismissGuest, installRules, withdrawRules } from '../../src/network/shared.ts'
import { removePublication, writePublication } from '../../src/records/publications.ts'
import { publication } from './publications.ts'

const backend = process.argv[2] as NatBackend
const [WEB, OTHER] = ['10.1.0.2/24', '10.1.0.3/24'].map(text => parseCidr(text)) as [Cidr, Cidr]
const ids = { moved: '00000000000000a1', ended: '00000000000000a2', next: '00000000000000a3' }
const GUEST = '00000000000000b1'

const intentOf = (owner: string, address: Cidr, more: Partial<NatIntent>): NatIntent => ({
  owner,
  bridge: 'br1',
  addresses: [address],
  ipMasq: false,
  guardDirect: false,
  ports: [],
  ...more,
})
const guest = intentOf(GUEST, WEB, { part: 'guest' })

/** A publication of two ports, to an address. */
function publicationOf(id: string, hostPort: number, address: Cidr, guests: NatIntent[] = []): Publication {
  const ports = [{ hostPort, containerPort: 80, count: 2, protocol: 'tcp' as const }]
  const nat = { backend, ports: intentOf(id, address, { ports, part: 'ports' }), guests }
  return publication({ id, hostPort, count: 2, nat })
}

const portsOf = ({ nat }: Publication): NatIntent => nat?.ports as NatIntent
const begin = async (each: Publication): Promise<void> => {
  writePublication(each)
  await installRules(backend, portsOf(each))
}

const moved = publicationOf(ids.moved, 8001, WEB)
const ended = publicationOf(ids.ended, 8011, WEB, [guest])
await begin(moved)
await admitGuest(backend, guest, ids.ended)
await begin(ended)
const late = readIntents()

// Led elsewhere, as who leads one does so.
const elsewhere = publicationOf(ids.moved, 8001, OTHER)
await withdrawRules(backend, ids.moved, portsOf(moved))
await begin(elsewhere)
// Another publication has the guest, and the one before it is over.
const next = publicationOf(ids.next, 8021, WEB, [guest])
await admitGuest(backend, guest, ids.next)
await begin(next)
removePublication(ids.ended)
await withdrawRules(backend, ids.ended, portsOf(ended))
await dismissGuest(backend, guest, ids.ended)
// The late pass has put back half of what it had before, as a command does that was on its way.
const half = portsOf(ended).ports.map(ports => ({ ...ports, count: 1 }))
await installRules(backend, { ...portsOf(ended), ports: half })

const losses = [
  ...(await putBack(backend, late)),
  // Nothing of the guest lacked in that moment; after a flush it would have.
  { what: 'what the guest needs', owner: GUEST },
]
await withdrawEnded(late, backend, losses)

const wrong = async (intent: NatIntent) => verifyRules(backend, intent)
process.stdout.write(
  JSON.stringify({
    losers: [...new Set(losses.flatMap(({ owner }) => owner ?? []))].sort(),
    owners: (await owners(backend)).sort(),
    moved: await wrong(portsOf(elsewhere)),
    next: await wrong(portsOf(next)),
    guest: await wrong(guest),
  }),
)
