/**
 * What a host holds, as text, so that "nothing is left" can be asserted and the difference read.
 *
 *     const before = await snapshot(host)
 *     …
 *     t.strictSame(diff(before, await snapshot(host)), [])
 *
 * A snapshot has sections (links, routes, rules …), a section has things, a thing has a name and a
 * description. What changes by itself is left out: counters, timeouts, neighbours that were learned, TCP
 * connections that are only waiting to be forgotten.
 */

import type { Host } from './host.ts'
import { filesOf, mountsOf, processesOf } from './residue-files.ts'
import { kernelSectionsOf } from './residue-kernel.ts'
import { settingsOf, socketsOf } from './residue-proc.ts'
import { connectionsOf, rulesOf } from './residue-tools.ts'
import type { Section } from './section.ts'

/** `link` → `host eth0` → `up, mtu 1500 …`. The keys are nouns in the singular, for sentences. */
export type Snapshot = Readonly<Record<string, Section>>

export interface SnapshotOptions {
  /** Folders whose files are compared. Default /run, /etc/cni and /var/lib/cni. */
  folders?: readonly string[]
}

/** Looks at everything of a host and of the container namespaces on it. */
export async function snapshot(host: Host, options: SnapshotOptions = {}): Promise<Snapshot> {
  const { folders = ['/run', '/etc/cni', '/var/lib/cni'] } = options
  const places = [host, ...host.namespaces]
  return {
    ...(await rulesOf(places)),
    connection: await connectionsOf(places),
    ...kernelSectionsOf(places),
    socket: socketsOf(places),
    setting: settingsOf(places),
    file: filesOf(host, folders),
    mount: mountsOf(host),
    process: processesOf(host),
  }
}

/**
 * What is different, one sentence a thing: `link host veth1 appeared: up, mtu 1500`.
 * @returns nothing where both are the same
 */
export function diff(before: Snapshot, after: Snapshot): string[] {
  const sections = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...sections].flatMap(section => {
    const old = before[section] ?? {}
    const now = after[section] ?? {}
    const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].sort()
    // The settings of a link come and go with it, and the link is reported.
    const worth = section === 'setting' ? names.filter(name => name in old && name in now) : names
    return worth.flatMap(name => sentence(`${section} ${name}`, old[name], now[name]))
  })
}

function sentence(thing: string, old: string | undefined, now: string | undefined): string[] {
  if (old === now) return []
  const described = (text: string) => (text === '' ? '' : `: ${text}`)
  if (old === undefined) return [`${thing} appeared${described(now ?? '')}`]
  if (now === undefined) return [`${thing} is gone${described(old)}`]
  return [`${thing} changed: ${old} → ${now}`]
}
