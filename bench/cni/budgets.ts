/** What calls may cost; `npm run bench -- cni` prints it beside what they do cost. */

import type { NatBackend } from '../../src/model/network.ts'

export const HOWS = ['with the daemon', 'without the daemon'] as const
export type How = (typeof HOWS)[number]

/** What is measured of a container that comes and goes. */
export type Work = 'ADD' | 'DEL' | 'ADD, alone' | 'DEL, alone'

export interface Budget {
  /** How many times the peer's median. */
  ratio: number
  /** What would be better still. */
  goal?: number
}

/** Of the reference chain's median. */
const BUDGETS: Record<How, Record<NatBackend, Partial<Record<Work, Budget>>>> = {
  'with the daemon': {
    nftables: { ADD: { ratio: 0.12, goal: 0.09 }, 'ADD, alone': { ratio: 0.2, goal: 0.14 } },
    iptables: { ADD: { ratio: 0.3 }, 'ADD, alone': { ratio: 0.3 } },
  },
  'without the daemon': {
    nftables: {
      ADD: { ratio: 0.6, goal: 0.5 },
      DEL: { ratio: 0.32, goal: 0.28 },
      'ADD, alone': { ratio: 1 },
      'DEL, alone': { ratio: 0.5 },
    },
    iptables: {
      ADD: { ratio: 1 },
      DEL: { ratio: 0.5 },
      'ADD, alone': { ratio: 1 },
      'DEL, alone': { ratio: 0.5 },
    },
  },
}

export const budgetOf = (how: How, backend: NatBackend, work: Work): Budget | undefined =>
  BUDGETS[how][backend][work]

/** By the daemon a DEL takes as long as the kernel makes whoever deletes a link wait, and this. */
export const DEL_BEYOND_KERNEL_MS = 4

/** An ADD and its DEL, of the daemon's own processor time, with nftables. */
export const DAEMON_PROCESSOR_MS = 9

/** A host full of others' chains, over an empty one. */
export const FULL_OVER_EMPTY = 1.05

/** Ten thousand ports by one command. */
export const PUBLICATION_MS = 100
