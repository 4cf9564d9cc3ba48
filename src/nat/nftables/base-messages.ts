/**
 * The base table as messages to the kernel.
 *
 * They never change. A bundle has them as bytes, which scripts/bundle.js makes by this file: a process that
 * starts for one call would take longer to make them of their text than for all the rest.
 */

import type { Family } from '../../model/address/address.ts'
import { addCommands } from '../../netfilter/commands.ts'
import { Transaction } from '../../netfilter/transaction.ts'
import type { Rules } from '../rules.ts'
import { base, subnetChains, subnetsOf, TABLE } from './base.ts'
import { prepared } from './base-prepared.ts'

/** Messages, and how many they are. */
export interface Messages {
  bytes: Uint8Array
  count: number
}

/** A part of the table: what all attachments share, or those in subnets of one prefix length. */
export type BasePart = 'base' | `${Family}/${number}`

/** Sets without names are numbered apart from those of what is in the same transaction. */
const SET_IDS = 0x10000

const made = new Map<BasePart, Messages>()

export function baseMessages(part: BasePart): Messages {
  const found = made.get(part) ?? readPrepared(part) ?? make(part)
  made.set(part, found)
  return found
}

function readPrepared(part: BasePart): Messages | undefined {
  const found = prepared[part]
  return found && { bytes: Buffer.from(found.bytes, 'base64'), count: found.count }
}

function make(part: BasePart): Messages {
  if (part === 'base') return addCommands(new Transaction(SET_IDS), base).messages
  const [family, length] = part.split('/').map(Number) as [Family, number]
  return addCommands(new Transaction(SET_IDS * (family * 200 + length)), subnetChains(family, length))
    .messages
}

/** The parts that these rules need. */
export const basePartsOf = (rules: Pick<Rules, 'families'>): BasePart[] => [
  'base',
  ...new Set(subnetsOf(rules).map(({ family, length }): BasePart => `${family}/${length}`)),
]

/** Adds the table with all that rules need; changes nothing where it is there already. */
export function addBase(tx: Transaction, rules: Pick<Rules, 'families'>): Transaction {
  for (const part of basePartsOf(rules)) {
    const { bytes, count } = baseMessages(part)
    tx.include(`nft add table ${TABLE}`, bytes, count)
  }
  return tx
}
