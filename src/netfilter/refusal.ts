/**
 * What the kernel refuses, and what that means: something is missing, taken or in use; or the kernel was
 * built without what a rule needs, or does not let us.
 */

import { errnoName, errnoText } from '../ffi/ffi.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import { present } from '../model/present.ts'
import type { Refusal } from '../netlink/netlink.ts'
import type { SetElement } from './elements.ts'
import type { TableFamily } from './values.ts'

/** What stands at a place of a message. */
export interface Found {
  /** An element, and the set that it is for. */
  element?: SetElement
  set?: string
  /** The name of an expression. */
  expression?: string
}

/** What is known of one message of a transaction. */
export interface Part {
  /** The command that does the same: `nft add chain inet tsnet publish`. */
  what: string
  family?: TableFamily
  hook?: { type: string; at: string }
  find?: (offset: number) => Found | undefined
}

/** Why nothing of a transaction was done. */
export interface Denial extends Found {
  /** errno's name, such as `EEXIST`. */
  code: string
  /** The command that does what was refused. */
  what: string
  /** The kernel's words. */
  text: string
  /** What the kernel would have to be built with, where that is why. */
  option?: string
}

/** @param part what the message was; undefined for that which opens or closes the batch */
export function denialOf({ errno, text, offset }: Refusal, part: Part | undefined): Denial {
  const code = errnoName(errno)
  const found = offset === undefined ? undefined : part?.find?.(offset)
  return present({
    ...found,
    code,
    what: part?.what ?? 'nft',
    text: text === undefined ? errnoText(errno) : `${text} (${code})`,
    option: optionFor(code, part, found?.expression),
  })
}

/** Kernel options by what asks for them; the rest is in every kernel that has nf_tables. */
const OPTIONS: Record<string, string> = {
  ct: 'NFT_CT',
  fib: 'NFT_FIB_INET',
  masq: 'NFT_MASQ',
  nat: 'NFT_NAT',
  netdev: 'NF_TABLES_NETDEV',
  bridge: 'NF_TABLES_BRIDGE',
  inet: 'NF_TABLES_INET',
  ip: 'NF_TABLES_IPV4',
  ip6: 'NF_TABLES_IPV6',
}

function optionFor(code: string, part: Part | undefined, expression?: string): string | undefined {
  const isUnknown = code === 'ENOENT' || code === 'EOPNOTSUPP'
  if (!isUnknown) return undefined
  if (part === undefined) return code === 'EOPNOTSUPP' ? 'CONFIG_NF_TABLES' : undefined
  const { hook, family = '' } = part
  if (expression !== undefined) return optionNamed(expression)
  if (code === 'EOPNOTSUPP' && hook !== undefined && ['ingress', 'egress'].includes(hook.at)) {
    return `CONFIG_NETFILTER_${hook.at.toUpperCase()}`
  }
  if (code === 'EOPNOTSUPP') return optionNamed(family)
  return undefined
}

const optionNamed = (name: string): string | undefined => {
  const option = OPTIONS[name]
  return option && `CONFIG_${option}`
}

/** True when something that the transaction names is not there. */
export const isMissing = (denial: Denial | undefined): boolean =>
  denial?.code === 'ENOENT' && denial.option === undefined

/** True when something that it creates is there already. */
export const isTaken = (denial: Denial | undefined): boolean => denial?.code === 'EEXIST'

/** True when something that it deletes is in use. */
export const isBusy = (denial: Denial | undefined): boolean => denial?.code === 'EBUSY'

/** True when it was for a generation of the rule set that is past. */
export const isOutdated = (denial: Denial | undefined): boolean => denial?.code === 'ERESTART'

/** A refusal that nobody expected. @param what was to be done, such as `rules of tsnet:…` */
export function denied(what: string, { what: command, text, option, code, expression }: Denial): TsnetError {
  const where = expression === undefined ? command : `${command}, expression ${expression}`
  const message = `nftables, ${what}: ${where}: ${text}`
  if (option !== undefined) {
    return new TsnetError('missing', message, { details: `the kernel needs ${option}, or its module` })
  }
  if (code === 'EPERM' || code === 'EACCES') {
    return new TsnetError('kernel', message, {
      details: 'rules are for CAP_NET_ADMIN in the user namespace that owns this network namespace',
    })
  }
  return new TsnetError('kernel', message)
}

/**
 * The socket could not be opened.
 * @throws TsnetError `missing` where the kernel has no netfilter, else what was thrown
 */
export function explainSocket(thrown: unknown): never {
  if (!hasCode(thrown, 'EPROTONOSUPPORT', 'EAFNOSUPPORT')) throw thrown
  throw new TsnetError('missing', 'this kernel has no netfilter to speak with', {
    details: 'the kernel needs CONFIG_NETFILTER_NETLINK and CONFIG_NF_TABLES, or their modules',
    cause: thrown,
  })
}
