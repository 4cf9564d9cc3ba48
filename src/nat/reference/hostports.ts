/**
 * Ports of the host that lead to a container, for the drop-in plugin portmap: with the chains, tables,
 * rules and comments of the reference plugin, so that either finds and removes what the other made.
 *
 *     install    iptables: one iptables-restore a family; nftables: one transaction
 *     withdraw   what was installed, by its text; where that is not all there, the container's chain with
 *                all that leads to it, whoever made it
 *     tidy       where no container has a port any more, what all share goes too
 *
 * The reference plugin never takes the shared chains away. Ours does; a reference plugin that is just
 * about to use them for its first container would then fail, and its runtime tries again.
 */

import { type Cidr, type Family, familyOf } from '../../model/address/address.ts'
import type { HostPortIntent, HostPortRecord } from '../../model/chained.ts'
import type { NatBackend } from '../../model/network.ts'
import { everyOne } from '../../model/undo.ts'
import { hasNfTables } from '../../netfilter/netfilter.ts'
import { families, findIptables } from '../iptables/run.ts'
import {
  containerIn,
  guardSheet,
  isPortChain,
  PORT_TABLES,
  portChainOf,
  portChainsOf,
  portSheets,
  sharedRemoval,
} from './hostports-iptables.ts'
import {
  describePortsNft,
  hasPortsNft,
  installPortsNft,
  removeUnusedNft,
  verifyPortsNft,
  withdrawPortsNft,
} from './hostports-nftables.ts'
import { chainOf, chainRemoval, freshFileOf, type Sheet, targetOf } from './reference.ts'
import { ensureSheets, listTable, removeListed, removeSheets, verifySheets } from './sheet-apply.ts'

type Made = Pick<HostPortRecord, 'backend' | 'intent'>

const sheetsOf = (intent: HostPortIntent): { family: Family; sheets: Sheet[] }[] =>
  intent.addresses.map(address => ({ family: familyOf(address), sheets: portSheets(intent, address) }))

/** Rules of intents in the container's own chain of a family, and those that lead there. */
const ownRules = (made: readonly Made[], family: Family): string[] =>
  made
    .filter(({ backend }) => backend === 'iptables')
    .flatMap(({ intent }) => sheetsOf(intent))
    .filter(part => part.family === family)
    .flatMap(({ sheets }) => sheets.flatMap(({ rules }) => rules))

/**
 * Installs an attachment's ports.
 * @param others of other attachments of the same container to the same network, who share its chain
 * @throws TsnetError `missing`, `try-again`, `kernel`; what was done by then is for `withdrawPorts`
 */
export async function installPorts({ backend, intent }: Made, others: readonly Made[]): Promise<void> {
  if (backend === 'nftables') return installPortsNft(intent)
  const what = `ports of container ${intent.containerId}`
  await everyOne(
    sheetsOf(intent).map(({ family, sheets }) => {
      const keep = ownRules(others, family)
      return ensureSheets(family, sheets, { what, fresh: keep.length === 0, keep })
    }),
  )
}

/** Takes an attachment's ports away. Idempotent. @throws TsnetError `try-again`, `kernel` */
export async function withdrawPorts({ backend, intent }: Made, others: readonly Made[]): Promise<void> {
  if (backend === 'nftables') return withdrawPortsNft(intent.containerId, intent.addresses)
  const chains = portChainsOf(intent.network, intent.containerId)
  await everyOne(
    sheetsOf(intent).map(async ({ family, sheets }) => {
      if (findIptables(family) === undefined) return
      const keep = new Set(ownRules(others, family))
      // What is shared, in the other table too, stays, and so does what leads others' ports to the chain as well.
      const own = sheets
        .filter(sheet => sheet.own.length > 0)
        .map(sheet => ({ ...sheet, rules: sheet.rules.filter(rule => !keep.has(rule)) }))
      if (await removeSheets(family, own, keep.size === 0)) return
      const what = `removing ports of container ${intent.containerId}`
      const rest = own.flatMap(({ rules }) => rules)
      for (const table of PORT_TABLES) {
        await removeListed(family, table, what, there =>
          keep.size === 0 ? chainRemoval(chains, there) : rest.filter(there.has).map(rule => `-D ${rule}`),
        )
      }
    }),
  )
}

/**
 * Takes away what a container has on a network, known by its name alone, with whichever backend and
 * whoever made it.
 * @param addresses those that rules of nftables lead to, which do not tell the network; absent: any
 */
export async function withdrawUnknownPorts(
  network: string,
  containerId: string,
  addresses?: readonly Cidr[],
): Promise<void> {
  const chains = portChainsOf(network, containerId)
  const what = `removing ports of container ${containerId}`
  await everyOne([
    ...families().flatMap(family =>
      PORT_TABLES.map(table => removeListed(family, table, what, there => chainRemoval(chains, there))),
    ),
    ...(!hasNfTables() ? [] : [withdrawPortsNft(containerId, addresses)]),
  ])
}

/**
 * Takes away what all containers share, as far as none is left.
 * @returns true when no container of this host is reached from 127.0.0.1 any more
 */
export async function tidyPorts(backend: NatBackend): Promise<boolean> {
  if (backend === 'nftables') {
    if (!hasNfTables()) return true
    removeUnusedNft()
    return !hasPortsNft()
  }
  const left = await Promise.all(
    families().map(async family => {
      let used = false
      for (const table of PORT_TABLES) {
        await removeListed(family, table, 'removing what containers share', there => {
          used = [...there.chains].some(isPortChain)
          return used ? [] : sharedRemoval(there)
        })
      }
      return used && family === 4
    }),
  )
  return !left.includes(true)
}

/** Takes the guard of the loopback away; to be called when nothing lets packets past it any more. */
export async function removeGuard(): Promise<void> {
  if (findIptables(4) === undefined) return
  const [guard] = guardSheet.shared.map(({ rule }) => rule)
  await removeListed(4, guardSheet.table, 'removing the guard of the loopback', there =>
    there.rules.filter(rule => rule === guard).map(rule => `-D ${rule}`),
  )
}

/**
 * All that the kernel's rules lack or have too much of an intent, in words.
 * @param guarded ours made them, so what the reference leaves out stands as well
 */
export async function verifyPorts(
  { backend, intent }: Made,
  { others, guarded }: { others: readonly Made[]; guarded: boolean },
): Promise<string[]> {
  if (backend === 'nftables') return verifyPortsNft(intent, guarded)
  const chains = portChainsOf(intent.network, intent.containerId)
  const isOwn = (rule: string) => chains.includes(chainOf(rule)) || chains.includes(targetOf(rule))
  const problems = await Promise.all(
    sheetsOf(intent).map(({ family, sheets }) => {
      const known = new Set(ownRules([{ backend, intent }, ...others], family))
      const checked = sheets.filter(({ table }) => guarded || table === 'nat')
      return verifySheets(family, checked, (_, { rules }) =>
        rules.filter(rule => isOwn(rule) && !known.has(rule)),
      )
    }),
  )
  return problems.flat()
}

/** Containers of a network that have a chain, whoever made it. */
export async function containersWithPorts(network: string): Promise<Set<string>> {
  const found = new Set<string>()
  for (const family of families()) {
    const { rules } = await listTable(family, 'nat')
    for (const rule of rules) {
      const container = containerIn(rule)
      if (container?.network !== network) continue
      // Long names are cut in a comment, and then the chain's name is another one.
      if (portChainOf(network, container.containerId) === container.chain) found.add(container.containerId)
    }
  }
  return found
}

/** The documents that the kernel gets when there is nothing of all this yet, each below the command that takes it. */
export const describePorts = ({ backend, intent }: Made): string =>
  backend === 'nftables'
    ? describePortsNft(intent)
    : sheetsOf(intent)
        .map(
          ({ family, sheets }) =>
            `# ip${family === 4 ? '' : '6'}tables-restore --noflush\n${freshFileOf(sheets)}`,
        )
        .join('\n')
