/**
 * The container's end: settings, addresses, routes, and the wait until the addresses can be used.
 */

import { familyOf, ipOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { addAddress, listAddresses } from '../netlink/address.ts'
import { changeLink, type LinkRef } from '../netlink/link/link.ts'
import { NetlinkError } from '../netlink/netlink.ts'
import { appendRoute } from '../netlink/route.ts'
import { newAddress } from './gateway.ts'
import type { ContainerPlan } from './plan/plan.ts'
import type { PlannedRoute } from './plan/routing.ts'
import { applyToExisting, applyToNew } from './settings.ts'
import type { Side } from './side.ts'
import { until } from './wait.ts'

/** RFC 4862 takes a second or two: a random delay and RetransTimer. */
const DAD_WITHIN_MS = 5000

/** Settings, addresses, link up, routes. */
export function configure(side: Side, link: LinkRef, plan: ContainerPlan): void {
  const { nl } = side
  applyToExisting(side, plan.loopbackSettings)
  applyToNew(side, plan.settings)
  for (const address of plan.addresses) {
    explain(`address ${address}`, () => addAddress(nl, link, newAddress(address, !plan.detectDuplicates)))
  }
  if (plan.up) changeLink(nl, link, { up: true })
  for (const route of plan.routes) {
    explain(`route ${route.dst}${route.gw ? ` via ${route.gw}` : ''}`, () => addRoute(side, link, route))
  }
}

function addRoute({ nl }: Side, link: LinkRef, { dst, gw, onlink, ...rest }: PlannedRoute): void {
  appendRoute(nl, { destination: dst, link, ...(gw && { gateway: gw }), ...(onlink && { onlink }), ...rest })
}

function explain(what: string, work: () => void): void {
  try {
    work()
  } catch (cause) {
    if (!(cause instanceof NetlinkError)) throw cause
    throw new TsnetError('kernel', `the container cannot have ${what}: ${cause.message}`, { cause })
  }
}

/**
 * Waits until duplicate address detection is through with all addresses.
 * @throws TsnetError `conflict` when somebody else has an address, `try-again` after 5 s
 */
export async function waitForAddresses({ nl }: Side, link: LinkRef, plan: ContainerPlan): Promise<void> {
  if (!plan.detectDuplicates || !plan.addresses.some(address => familyOf(address) === 6)) return
  const done = await until(DAD_WITHIN_MS, () => {
    const held = listAddresses(nl, { link, family: 6 })
    const failed = held.find(({ dadFailed, address }) => dadFailed && plan.addresses.includes(address))
    if (failed !== undefined) {
      throw new TsnetError(
        'conflict',
        `address ${ipOf(failed.address)} is in use by another on this network`,
        {
          details: 'duplicate address detection (enabledad) got an answer',
        },
      )
    }
    return held.every(({ tentative }) => !tentative)
  })
  if (!done) {
    throw new TsnetError(
      'try-again',
      `duplicate address detection (enabledad) did not end within ${DAD_WITHIN_MS} ms`,
    )
  }
}
