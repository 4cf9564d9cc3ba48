/**
 * Protocols with ports, as one set of each table that all lists look into. A set within a rule would be one more of the table for each
 * rule, and the kernel goes through all of them to name it: an ADD beside three hundred lists with names took three times as long.
 */

import { protocolNumbers } from '../../model/port-mapping.ts'
import type { SetElement } from '../../netfilter/elements.ts'
import type { SetPlan } from '../../netfilter/transaction.ts'

export const PORTED: SetPlan = { name: 'ported', type: 'inet_proto' }

export const PORTED_ELEMENTS: SetElement[] = Object.values(protocolNumbers).map(number => ({
  key: Uint8Array.of(number),
}))

/** In rules. */
export const WITH_PORTS = `meta l4proto @${PORTED.name}`
export const WITHOUT_PORTS = `meta l4proto != @${PORTED.name}`
