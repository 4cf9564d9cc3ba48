/**
 * The container's namespace: opened once, and never our own.
 *
 * A path such as /proc/PID/ns/net may by now belong to another process, even to one of the host's own
 * (pids are used again). Whoever then adds or deletes `eth0` "in the container" does it to the host. So
 * the identity of what the path leads to is compared before anything is changed.
 */

import { type Stats, statSync } from 'node:fs'
import { TsnetError } from '../model/errors.ts'
import { shownPath } from '../model/json/shown.ts'
import type { NamespaceId } from '../model/network.ts'
import { isRecorded, type Netns, netnsHere, openNetns, sameNamespace, tryOpenNetns } from './netns.ts'

/** Opens a container's namespace. @throws TsnetError `invalid-netns` when it is the one we run in */
export function openContainer(path: string, allowOwn = false): Netns {
  const netns = openNetns(path)
  try {
    if (!allowOwn) refuseOwn(netns, ", not a container's; nothing was changed")
    return netns
  } catch (thrown) {
    netns[Symbol.dispose]()
    throw thrown
  }
}

/**
 * @param soThat ends the sentence: what was not done
 * @throws TsnetError `invalid-netns` for the namespace that this thread is in
 */
export function refuseOwn({ id, path }: Netns, soThat = '; nothing was changed'): void {
  if (!isOurOwn(id)) return
  throw new TsnetError(
    'invalid-netns',
    `network namespace ${shownPath(path)} is the one that tsnet runs in${soThat}`,
  )
}

/** True for the namespace that this thread is in. */
export function isOurOwn(id: NamespaceId): boolean {
  return sameNamespace(netnsHere().id, id)
}

/** The namespace that was recorded, if the path still leads to that very one. */
export function openRecorded(recorded: { path: string } & NamespaceId): Netns | undefined {
  const netns = tryOpenNetns(recorded.path)
  if (netns === undefined || isRecorded(netns, recorded)) return netns
  netns[Symbol.dispose]()
  return undefined
}

/** True while the namespace that was recorded is where it was. */
export function isThere(recorded: { path: string } & NamespaceId): boolean {
  try {
    const found = statSync(recorded.path, { throwIfNoEntry: false })
    if (found === undefined || !sameNamespace(found, recorded)) return false
    return recorded.cookie === undefined || cookieAt(recorded.path, found) === recorded.cookie
  } catch {
    return false // not to be reached, such as below a file
  }
}

/** Of namespaces that are looked at again and again, by what stat(2) says. */
const cookies = new Map<string, string | undefined>()
const COOKIES_AT_MOST = 10_000

/** The clock of files stands still for some milliseconds, and a namespace's file is as old as whoever mounted it. */
const SETTLED_MS = 1_000

/** The same file is the same namespace: a bind mount keeps its inode, and another one's is younger. */
function cookieAt(path: string, { dev, ino, ctimeMs }: Stats): string | undefined {
  const key = `${dev} ${ino} ${ctimeMs}`
  if (cookies.has(key)) return cookies.get(key)
  using netns = openNetns(path)
  const { cookie } = netns.identity
  if (cookies.size >= COOKIES_AT_MOST) cookies.clear()
  if (Date.now() - ctimeMs > SETTLED_MS) cookies.set(key, cookie)
  return cookie
}

/** As isThere, for many that are often the same: each is looked at once. */
export function thereCheck(): typeof isThere {
  const known = new Map<string, boolean>()
  return recorded => {
    const key = `${recorded.dev} ${recorded.ino} ${recorded.cookie} ${recorded.path}`
    const there = known.get(key) ?? isThere(recorded)
    known.set(key, there)
    return there
  }
}
