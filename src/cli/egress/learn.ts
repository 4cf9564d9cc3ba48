/** `tsnet egress learn`: the list that what a container does would need. */

import { setTimeout as sleep } from 'node:timers/promises'
import { familiesOf, type Ip, ipOf } from '../../model/address/address.ts'
import { isSecret, type Permission, permissionText } from '../../model/address/reach.ts'
import { parseDuration } from '../../model/duration.ts'
import { type Begun, listBegun, localAddresses, readRefused } from '../../nat/nat.ts'
import { isToOne, permissionFor } from '../../network/reached.ts'
import { type Member, membersOf } from '../../networks/inspect/members.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import type { Terminal } from '../terminal.ts'

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
  const began = performance.now()
  terminal.error(`tsnet: watching ${word} ${until === undefined ? 'until Ctrl-C' : `for ${until}`}\n`)
  const entries = new Set<string>()
  const secrets = new Set<Ip>()
  for (;;) {
    const since = performance.now() - began
    for (const member of members) {
      const needs = neededBy(member, since)
      for (const { to, entry } of needs) {
        entries.add(entry)
        if (isSecret(to)) secrets.add(to)
      }
    }
    const left = (ms ?? Number.POSITIVE_INFINITY) - since
    if (left <= 0 || over.signal.aborted) break
    await sleep(Math.min(left, EVERY_MS), undefined, { signal: over.signal }).catch(() => {})
  }
  if (secrets.size > 0)
    terminal.error(
      `tsnet: warning: clouds tell secrets at ${[...secrets].join(', ')}: leave it out if you can\n`,
    )
  const list = [...entries].sort()
  terminal.out(json ? `${JSON.stringify(list)}\n` : list.map(each => `${each}\n`).join(''))
}

/** What one interface of it reached, and what it was denied in so many milliseconds. */
function neededBy({ owner, attachment }: Member, ms: number): { to: Ip; entry: string }[] {
  const { leases, names, reach } = attachment
  const own = leases.map(({ address }) => ipOf(address))
  const local = new Set(familiesOf(own).flatMap(family => [...localAddresses(family)]))
  const resolvers = names === undefined ? [] : leases.flatMap(({ gateway }) => gateway ?? [])
  const asked: Begun[] = [
    ...own.flatMap(listBegun),
    ...(reach === undefined ? [] : readRefused(owner).filter(({ agoMs }) => agoMs <= ms)),
  ]
  return asked
    .filter(isToOne(attachment))
    .map(each => ({ to: each.to, entry: permissionText(entryFor(each, local, resolvers)) }))
}

function entryFor(begun: Begun, local: ReadonlySet<Ip>, resolvers: readonly Ip[]): Permission {
  const { to, port } = begun
  if (port === 53 && resolvers.includes(to)) return { to: 'dns' }
  const permission = permissionFor(begun)
  const { service } = permission
  return local.has(to) && service !== undefined ? { to: 'host', service } : permission
}
