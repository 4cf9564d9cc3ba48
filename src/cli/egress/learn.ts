/** `tsnet egress learn`: the list that what a container does would need. */

import { setTimeout as sleep } from 'node:timers/promises'
import { familiesOf, type Ip, ipOf } from '../../model/address/address.ts'
import { isElsewhere } from '../../model/address/elsewhere.ts'
import { isSecret, type Permission } from '../../model/address/reach.ts'
import { parseDuration } from '../../model/duration.ts'
import { type Begun, listBegun, localAddresses, readNamed, readRefused } from '../../nat/nat.ts'
import { isToOne, permissionFor } from '../../network/reached.ts'
import { type Member, membersOf } from '../../networks/inspect/members.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import type { Terminal } from '../terminal.ts'
import { AskedNames } from './asked.ts'
import { type Need, Needs } from './needs.ts'

/** The kernel forgets what nobody answers, and what is over, after ten seconds at the earliest. */
const EVERY_MS = 1_000

/** Watches until it is over, then prints the list: an entry a line, or with `json` one array. */
export async function learn(
  terminal: Terminal,
  word: string,
  { until, json }: { until?: string | undefined; json: boolean },
): Promise<void> {
  const ms = until === undefined ? undefined : parseDuration(until, '--for')
  requireRunDirectory()
  const members = await membersOf(word)
  const over = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => over.abort())
  const say = (line: string): void => terminal.error(`tsnet: ${line}\n`)
  const names = new AskedNames(say)
  await listenFor(names, members, say, over.signal)
  const began = performance.now()
  say(`watching ${word} ${until === undefined ? 'until Ctrl-C' : `for ${until}`}`)
  const needs = new Needs()
  // Of what was begun before.
  const listed = new Map(
    members.flatMap(({ owner, attachment: { reach } }) => [...readNamed(owner, reach?.allow ?? [])]),
  )
  const sinceMs = () => performance.now() - began
  for (;;) {
    const left = (ms ?? Number.POSITIVE_INFINITY) - sinceMs()
    for (const member of members) for (const need of neededBy(member, sinceMs)) needs.add(need)
    if (left <= 0 || over.signal.aborted) break
    await sleep(Math.min(left, EVERY_MS), undefined, { signal: over.signal }).catch(() => {})
  }
  over.abort()
  if (needs.isCut) say('warning: it reached more than can be kept, and the list has not all of it')
  const secrets = needs.addresses.filter(isSecret)
  if (secrets.length > 0)
    say(`warning: clouds tell secrets at ${secrets.join(', ')}: leave it out if you can`)
  const list = needs.list(ip => names.of(ip), listed)
  terminal.out(json ? `${JSON.stringify(list)}\n` : list.map(each => `${each}\n`).join(''))
}

async function listenFor(
  names: AskedNames,
  members: readonly Member[],
  say: (line: string) => void,
  over: AbortSignal,
): Promise<void> {
  const silent = members.filter(member => !tellsNames(member)).map(({ attachment }) => attachment.network)
  if (silent.length > 0)
    say(`addresses have no names on ${[...new Set(silent)].join(', ')}, which tells none ("names": true)`)
  const owners = members.filter(tellsNames).map(({ owner }) => owner)
  if (owners.length > 0) await names.listen(owners, over)
}

/** A list has names where the network tells them. */
const tellsNames = ({ attachment: { names } }: Member): boolean => names !== undefined

/** The kernel counts in ticks. */
const TICK_MS = 10

/** What one interface of it reached, and what it was denied since then. */
function neededBy(member: Member, sinceMs: () => number): Need[] {
  const { owner, attachment } = member
  const { leases, reach } = attachment
  const own = leases.map(({ address }) => ipOf(address))
  const local = new Set(familiesOf(own).flatMap(family => [...localAddresses(family)]))
  const resolvers = tellsNames(member) ? leases.flatMap(({ gateway }) => gateway ?? []) : []
  const refused = reach === undefined ? [] : readRefused(owner)
  // Only now: to read it takes a while on a busy host.
  const ms = sinceMs() + TICK_MS
  const asked: Begun[] = [...own.flatMap(listBegun), ...refused.filter(({ agoMs }) => agoMs <= ms)]
  return asked.filter(isToOne(attachment)).map(each => ({
    to: each.to,
    permission: entryFor(each, local, resolvers),
    mayBeNamed: tellsNames(member) && isElsewhere(each.to) && !local.has(each.to),
  }))
}

function entryFor(begun: Begun, local: ReadonlySet<Ip>, resolvers: readonly Ip[]): Permission {
  const { to, port } = begun
  if (port === 53 && resolvers.includes(to)) return { to: 'dns' }
  const permission = permissionFor(begun)
  const { service } = permission
  return local.has(to) && service !== undefined ? { to: 'host', service } : permission
}
