/**
 * What is let through for containers, for the drop-in plugin firewall: by firewalld where it runs, else by
 * iptables, with the chains, rules and comments of the reference plugin. A closed bridge is iptables'
 * business in either case.
 *
 *     allow     zones, or one look and one iptables-restore a family
 *     disallow  the same rules by their text; then the bridge is opened again where nobody needs it closed
 *               any more, and what all containers share goes with the last
 *
 * The reference opens no bridge again and leaves the shared chains.
 */

import { type Family, familiesOf, type Ip } from '../../model/address/address.ts'
import type { FirewallRecord } from '../../model/chained.ts'
import { everyOne, everyStep } from '../../model/undo.ts'
import { families, findIptables, iptablesVariant } from '../iptables/run.ts'
import { findChains, hasLegacyTables } from '../kernel-chains.ts'
import {
  acceptRemoval,
  allLetThrough,
  bridgeRules,
  FORWARD,
  firewallSheet,
  forwardRemoval,
  keepStagesFirst,
  letThrough,
  stageRemoval,
} from './firewall-rules.ts'
import { addToZone, isInZone, removeFromZone } from './firewalld.ts'
import { type Sheet, wordingsOf } from './reference.ts'
import { ensureSheets, removeListed, removeSheets, verifySheets } from './sheet-apply.ts'

export { isFirewalldRunning } from './firewalld.ts'

type Made = Pick<FirewallRecord, 'backend' | 'intent' | 'zone'>

const sheetsOf = (made: Made): { family: Family; sheet: Sheet }[] =>
  familiesOf(made.intent.addresses).flatMap(family => {
    const sheet = firewallSheet(made, family)
    return sheet === undefined ? [] : [{ family, sheet }]
  })

/** @throws TsnetError `missing`, `try-again`, `kernel`; what was done by then is for `disallow` */
export async function allow(made: Made): Promise<void> {
  const { backend, intent, zone } = made
  if (backend === 'firewalld') for (const address of intent.addresses) await addToZone(zone, address)
  await everyOne(
    sheetsOf(made).map(({ family, sheet }) =>
      ensureSheets(family, [sheet], { what: 'rules of CNI-FORWARD', fresh: false, fit: keepStagesFirst }),
    ),
  )
}

/** Idempotent. @throws TsnetError `try-again`, `kernel` */
export async function disallow(made: Made): Promise<void> {
  const { backend, intent, zone } = made
  const what = 'removing rules of CNI-FORWARD'
  await everyStep([
    ...(backend === 'firewalld' ? intent.addresses : []).map(address => () => removeFromZone(zone, address)),
    () =>
      everyOne(
        sheetsOf(made).map(async ({ family, sheet }) => {
          const { rules } = sheet
          if (rules.length === 0 || findIptables(family) === undefined) return
          if (await removeSheets(family, [sheet], false)) return
          await removeListed(family, 'filter', what, there =>
            there.rules.filter(rule => rules.includes(rule)).map(rule => `-D ${rule}`),
          )
        }),
      ),
  ])
}

/**
 * Opens the bridge of a container that is gone, as far as those that are left allow.
 * @param others all others whose bridge is the same
 */
export async function openBridge(made: Made, others: readonly Made[]): Promise<void> {
  if (made.intent.ingressPolicy === 'open') return
  const rulesOf = ({ intent }: Made) => bridgeRules(intent).flatMap(wordingsOf)
  const needed = others.flatMap(rulesOf)
  const gone = rulesOf(made).filter(rule => !needed.includes(rule))
  const known = new Set(
    others.flatMap(({ intent }) => intent.addresses.map(address => address.split('/')[0])),
  )
  await everyOne(
    familiesOf(made.intent.addresses)
      .filter(family => findIptables(family) !== undefined)
      .map(family =>
        removeListed(family, 'filter', 'opening a bridge', there => {
          // Somebody whom we do not know, so the reference plugin's: what they asked for is not known either.
          const strangers = letThrough(there, made.intent).some(ip => !known.has(ip))
          return strangers ? [] : stageRemoval(there, gone)
        }),
      ),
  )
}

/**
 * Takes away what lets addresses through of containers that are gone, whoever did that.
 * @param goneOf which of these addresses are nobody's; asked where there are any
 * @throws TsnetError `try-again`, `kernel`
 */
export const disallowGone = (goneOf: (ips: readonly Ip[]) => Ip[]): Promise<void> =>
  everyOne(
    families()
      .filter(mayLetThrough)
      .map(family =>
        removeListed(family, 'filter', 'removing rules of CNI-FORWARD', there => {
          const ips = [...new Set(allLetThrough(there))]
          return ips.length === 0 ? [] : acceptRemoval(there, family, goneOf(ips))
        }),
      ),
  )

/** False where no command need be asked, which would make the table. */
const mayLetThrough = (family: Family): boolean =>
  iptablesVariant(family) === 'legacy'
    ? hasLegacyTables(family)
    : findChains([{ family, table: 'filter', name: FORWARD }])[0] !== undefined

/** Takes away what all containers share, as far as it lets nothing through. */
export const tidyFirewall = (made: Made): Promise<void> =>
  tidyFamilies(made.backend === 'iptables' ? familiesOf(made.intent.addresses) : [])

/** The same, of families. */
export const tidyFamilies = (
  concerned: readonly Family[] = families().filter(mayLetThrough),
): Promise<void> =>
  everyOne(
    concerned
      .filter(family => findIptables(family) !== undefined)
      .map(family => removeListed(family, 'filter', 'removing CNI-FORWARD', forwardRemoval)),
  )

/** All that is not as it was made, in words. */
export async function verifyFirewall(made: Made): Promise<string[]> {
  const { backend, intent, zone } = made
  const problems: string[] = []
  for (const address of backend === 'firewalld' ? intent.addresses : []) {
    if (!(await isInZone(zone, address)))
      problems.push(`firewalld: ${address} is not a source of zone ${zone}`)
  }
  for (const { family, sheet } of sheetsOf(made)) problems.push(...(await verifySheets(family, [sheet])))
  return problems
}
