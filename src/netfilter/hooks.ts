/** Where base chains stand in a packet's way. Source: linux/netfilter.h (enum nf_inet_hooks, nf_dev_hooks). */

import type { TableFamily } from './values.ts'

export type HookName = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | 'ingress' | 'egress'

const inet: readonly HookName[] = ['prerouting', 'input', 'forward', 'output', 'postrouting', 'ingress']
const netdev: readonly HookName[] = ['ingress', 'egress']
const arp: readonly HookName[] = ['input', 'output', 'forward']

const hooksOf = (family: string): readonly HookName[] =>
  family === 'netdev' ? netdev : family === 'arp' ? arp : inet

/** @throws RangeError: the family has no such hook */
export function hookNumber(family: TableFamily, name: HookName): number {
  const number = hooksOf(family).indexOf(name)
  if (number < 0) throw new RangeError(`tables of family ${family} have no hook ${name}`)
  return number
}

/** Undefined for one that only newer kernels know. */
export const hookName = (family: string, number: number): HookName | undefined => hooksOf(family)[number]
