/**
 * Commands of nft's language as a transaction: as much of it as our documents use.
 *
 *     transactionOf(['add table inet tsnet', 'add chain inet tsnet in_use', …]).commit(nl)
 *
 * Elements of sets are not among them: there may be thousands, which are values and not text.
 */

import type { HookName } from './hooks.ts'
import { compileRule } from './language/language.ts'
import { Words } from './language/words.ts'
import { type ChainPlan, type TableRef, Transaction } from './transaction.ts'
import type { TableFamily } from './values.ts'

/** Names of priorities, linux/netfilter_ipv4.h. */
const PRIORITIES: Record<string, number> = { raw: -300, mangle: -150, dstnat: -100, filter: 0, srcnat: 100 }

/** Adds what commands do to a transaction. Empty lines and such that begin with # are skipped. */
export function addCommands(transaction: Transaction, commands: readonly string[]): Transaction {
  for (const command of commands) if (/^[^#]/.test(command)) addCommand(transaction, command)
  return transaction
}

/**
 * All of the commands in one transaction.
 * @throws LanguageError, and what the values of rules throw
 */
export const transactionOf = (commands: readonly string[]): Transaction =>
  addCommands(new Transaction(), commands)

function addCommand(transaction: Transaction, command: string): void {
  const words = new Words(command)
  const [verb, noun] = [words.next(), words.next()]
  const table: TableRef = { family: words.next() as TableFamily, name: words.next() }
  switch (`${verb} ${noun}`) {
    case 'add table':
      transaction.addTable(table, readBlock(words).comment)
      return
    case 'delete table':
      transaction.deleteTable(table)
      return
    case 'add chain':
    case 'create chain':
      transaction.addChain(table, readChain(words), { isNew: verb === 'create' })
      return
    case 'flush chain':
      transaction.flushChain(table, words.next())
      return
    case 'delete chain':
      transaction.deleteChain(table, words.next())
      return
    case 'add rule':
    case 'insert rule': {
      const chain = words.next()
      transaction.addRule(table, chain, compileRule(table.family, words.rest()), verb === 'insert')
      return
    }
    case 'delete rule': {
      const chain = words.next()
      words.expect('handle')
      transaction.deleteRule(table, chain, BigInt(words.next()))
      return
    }
    case 'add set':
    case 'add map': {
      const name = words.next()
      const [type = '', data] = readBlock(words).type?.split(' : ') ?? []
      transaction.addSet(table, { name, type, ...(data !== undefined && { data }) })
      return
    }
    default:
      throw words.error('is no command that we speak')
  }
}

interface Block {
  comment?: string
  type?: string
  policy?: 'accept' | 'drop'
}

/** `{ comment "…"; type …; }`, or nothing. */
function readBlock(words: Words): Block {
  const block: Block = {}
  if (!words.take('{')) return block
  while (!words.take('}')) {
    if (words.take('comment')) block.comment = words.quoted()
    else if (words.take('policy')) block.policy = words.next() as 'accept' | 'drop'
    else if (words.take('type')) block.type = untilSemicolon(words)
    else throw words.error(`does not know the word ${words.peek()}`)
    words.take(';')
  }
  return block
}

function untilSemicolon(words: Words): string {
  const found: string[] = []
  while (![';', '}', ''].includes(words.peek())) found.push(words.next())
  return found.join(' ')
}

function readChain(words: Words): ChainPlan {
  const name = words.next()
  const { type, comment, policy } = readBlock(words)
  const [, kind, at, device, priority] =
    /^(filter|nat) hook (\w+)(?: device (\S+))? priority (.*)$/.exec(type ?? '') ?? []
  if (type !== undefined && kind === undefined) throw words.error(`has no hook in ${type}`)
  return {
    name,
    ...(kind !== undefined && {
      hook: {
        type: kind as 'filter' | 'nat',
        at: at as HookName,
        priority: priorityOf(priority ?? '', words),
        ...(device !== undefined && { device: device.replace(/^"(.*)"$/, '$1') }),
      },
    }),
    ...(policy !== undefined && { policy }),
    ...(comment !== undefined && { comment }),
  }
}

/** `-300`, `dstnat`, `srcnat + 10`. */
function priorityOf(text: string, words: Words): number {
  const [base = '', sign, distance = '0'] = text.split(' ')
  const number = PRIORITIES[base] ?? (/^-?\d+$/.test(base) ? Number(base) : undefined)
  if (number === undefined) throw words.error(`does not know the priority ${text}`)
  return sign === '-' ? number - Number(distance) : number + Number(distance)
}
