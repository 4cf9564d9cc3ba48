/** A kernel with the tables of iptables-nft: it lists chains and rules, and carries out deletions by handle. */

import * as k from '../../src/netfilter/constants.ts'
import { verdict } from '../../src/netfilter/expressions.ts'
import { chainMessage, ruleMessage } from '../../src/netfilter/tables.ts'
import type { Message } from '../../src/netlink/message.ts'
import { ack, done, object, part, refusal, refusalAt, ScriptedKernel } from './scripted-kernel.ts'

interface KernelRule {
  handle: bigint
  comment?: string
  target?: string
}

type Words = Omit<KernelRule, 'handle'>
type Code = 'ENOENT' | 'EBUSY' | 'EPERM'

const REQUESTS = 10_000
const COMMENT_BYTES = 256
const header = { family: 'ip' } as const

export class IptKernel {
  readonly scripted = new ScriptedKernel(
    ...Array.from({ length: REQUESTS }, () => (request: Message) => this.#answer(request)),
  )
  /** Chains whose rules were asked for, `nat TSNET-DNAT`. */
  readonly asked: string[] = []
  commits = 0
  refusals = 0
  /** Of FORWARD. */
  policy: 'accept' | 'drop' = 'accept'
  /** Happens once, after everything was looked at and before it is changed. */
  meanwhile: (() => void) | undefined
  /** Every change. */
  denies: Code | undefined
  #chains = new Map<string, KernelRule[]>()
  #handle = 0n
  #before: [Map<string, KernelRule[]>, 'accept' | 'drop'] | undefined
  #isRefused = false

  addChain(table: string, chain: string): void {
    this.#chains.set(`${table} ${chain}`, [])
  }

  addRule(table: string, chain: string, words: Words): void {
    this.#chains.get(`${table} ${chain}`)?.push({ ...words, handle: ++this.#handle })
  }

  rulesIn = (table: string, chain: string): KernelRule[] | undefined => this.#chains.get(`${table} ${chain}`)

  text(): string {
    return [...this.#chains]
      .flatMap(([chain, rules]) => [
        chain,
        ...rules.map(({ comment, target }) => `${chain} ${target ? `jump ${target}` : comment}`),
      ])
      .join('\n')
  }

  #answer(request: Message): Uint8Array[] {
    switch (request.type) {
      case k.NFT_MSG_GETCHAIN:
        return this.#getChains(request)
      case k.NFT_MSG_GETRULE:
        return this.#getRules(request)
      case k.NFNL_MSG_BATCH_BEGIN:
        this.meanwhile?.()
        this.meanwhile = undefined
        this.#before = [structuredClone(this.#chains), this.policy]
        this.#isRefused = false
        return []
      case k.NFNL_MSG_BATCH_END:
        if (!this.#isRefused) this.commits++
        else if (this.#before !== undefined) [this.#chains, this.policy] = this.#before
        return []
      default: {
        const code = this.#isRefused ? undefined : (this.denies ?? this.#change(request))
        if (code === undefined) return []
        this.#isRefused = true
        this.refusals++
        return [refusalAt(request, code)]
      }
    }
  }

  #getChains(request: Message): Uint8Array[] {
    const { table, name } = chainMessage.decode(request.payload).attributes
    const encode = (key: string) => {
      const [table = '', name = ''] = key.split(' ')
      const policy = name === 'FORWARD' ? this.policy : undefined
      const leading = [...this.#chains.values()].flat().filter(({ target }) => target === name)
      const uses = (this.#chains.get(key)?.length ?? 0) + leading.length
      return chainMessage.encode({ header, attributes: { table, name, policy, uses } })
    }
    if (name === undefined) {
      return [...[...this.#chains.keys()].map(key => part(request, encode(key))), done(request)]
    }
    const key = `${table} ${name}`
    if (!this.#chains.has(key)) return [refusal(request, 'ENOENT')]
    return [object(request, encode(key)), ack(request)]
  }

  #getRules(request: Message): Uint8Array[] {
    const { table = '', chain } = ruleMessage.decode(request.payload).attributes
    if (chain !== undefined) this.asked.push(`${table} ${chain}`)
    const parts = [...this.#chains].flatMap(([key, rules]) => {
      const [inTable, name = ''] = key.split(' ')
      if (inTable !== table || (chain ?? name) !== name) return []
      return rules.map(rule => part(request, encodeRule(table, name, rule)))
    })
    return [...parts, done(request)]
  }

  #change({ type, flags, payload }: Message): Code | undefined {
    if (type === k.NFT_MSG_DELRULE) {
      const { table, chain, handle } = ruleMessage.decode(payload).attributes
      const rules = this.#chains.get(`${table} ${chain}`) ?? []
      const at = rules.findIndex(rule => rule.handle === handle)
      if (at < 0) return 'ENOENT'
      rules.splice(at, 1)
      return undefined
    }
    const { table, name = '', policy } = chainMessage.decode(payload).attributes
    if (type === k.NFT_MSG_NEWCHAIN) {
      if (policy === 'accept' || policy === 'drop') this.policy = policy
      return undefined
    }
    const key = `${table} ${name}`
    const inside = this.#chains.get(key)
    if (inside === undefined) return 'ENOENT'
    const isLedTo = [...this.#chains.values()].flat().some(({ target }) => target === name)
    if (isLedTo || ((flags & k.NLM_F_NONREC) !== 0 && inside.length > 0)) return 'EBUSY'
    this.#chains.delete(key)
    return undefined
  }
}

function encodeRule(table: string, chain: string, { handle, comment, target }: KernelRule): Uint8Array {
  const info = new Uint8Array(COMMENT_BYTES)
  info.set(Buffer.from(comment ?? ''))
  const match = { name: 'match', match: { name: 'comment', revision: 0, info } } as const
  const all = [
    ...(comment === undefined ? [] : [match]),
    target === undefined ? verdict('accept') : verdict('jump', target),
  ]
  return ruleMessage.encode({ header, attributes: { table, chain, handle, expressions: { all } } })
}
