/** The table that has the kernel tell of one packet. */

import { hasCode, TsnetError } from '../../model/errors.ts'
import { type Protocol, protocolNumbers } from '../../model/port-mapping.ts'
import { NFT_TABLE_F_OWNER } from '../../netfilter/constants.ts'
import { traced } from '../../netfilter/expressions.ts'
import type { HookName } from '../../netfilter/hooks.ts'
import { compileRule } from '../../netfilter/language/language.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { denied } from '../../netfilter/refusal.ts'
import { listenToTraces, readTrace, type TraceEvent } from '../../netfilter/trace.ts'
import { type TableRef, Transaction } from '../../netfilter/transaction.ts'
import type { Listener } from '../../netlink/listener.ts'
import type { Netlink } from '../../netlink/netlink.ts'

const HOOKS: readonly HookName[] = ['prerouting', 'input', 'forward', 'output', 'postrouting']

/** Before what anybody has there but defragmentation, and behind all. */
const FIRST = -390
const LAST = 2_147_483_000

/** Our chains, by what their policy tells: that the packet came to a hook, and that it left it. */
export const isWatcher = ({ table }: Pick<TraceEvent, 'table'>): boolean => table.startsWith(NAME)
const NAME = 'tsnet-trace-'

export class Watch implements Disposable {
  readonly #table: TableRef = { family: 'inet', name: `${NAME}${process.pid}` }
  readonly #nl: Netlink
  readonly #listener: Listener

  /** @throws TsnetError, SystemError */
  constructor(protocol: Protocol, sourcePort: number) {
    this.#nl = netfilterHere()
    this.#listener = listenToTraces()
    try {
      this.#install(protocol, sourcePort)
    } catch (thrown) {
      this.#listener[Symbol.dispose]()
      throw thrown
    }
  }

  #install(protocol: Protocol, sourcePort: number): void {
    const tx = new Transaction().addTable(this.#table, undefined, NFT_TABLE_F_OWNER)
    for (const at of HOOKS)
      for (const [name, priority] of [
        ['first', FIRST],
        ['last', LAST],
      ] as const)
        tx.addChain(this.#table, {
          name: `${at}-${name}`,
          hook: { type: 'filter', at, priority },
          policy: 'accept',
        })
    const { expressions } = compileRule(
      'inet',
      `meta l4proto ${protocolNumbers[protocol]} th sport ${sourcePort}`,
    )
    const rule = { expressions: [...expressions, ...traced] }
    for (const at of ['prerouting', 'output']) tx.addRule(this.#table, `${at}-first`, rule)
    const denial = tx.commit(this.#nl)
    if (denial === undefined) return
    const thrown = denied('having the kernel tell of a packet', denial)
    if (!hasCode(thrown, 'EOPNOTSUPP', 'EINVAL')) throw thrown
    throw new TsnetError(
      'missing',
      'this kernel cannot follow a packet: it has no tables that end with their owner',
      {
        details: 'it takes Linux 5.12 with CONFIG_NF_TABLES_INET; tsnet doctor reads the rules instead',
        cause: thrown,
      },
    )
  }

  /** All that was told since it began, in order. */
  events(): TraceEvent[] {
    const events: TraceEvent[] = []
    this.#listener.drain(message => {
      const event = readTrace(message)
      if (event !== undefined) events.push(event)
    })
    return events
  }

  [Symbol.dispose](): void {
    this.#listener[Symbol.dispose]()
    new Transaction().deleteTable(this.#table).commit(this.#nl)
  }
}
