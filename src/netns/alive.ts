/**
 * Whether a namespace that was seen once still exists.
 *
 * It does while its path still leads to it, or a process or thread is in it, holds a descriptor of it, or has it
 * bind-mounted somewhere. Only when nothing of that is found is it gone. Inode numbers are given again at once: what
 * has the recorded one is asked for its cookie, too, where one was recorded (Linux 5.14); where none was, another
 * namespace with its number makes a dead one look alive, never the other way round. Not seen are processes outside
 * our pid namespace and sockets that outlive all of the above.
 */

import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { hasCode } from '../model/errors.ts'
import type { NamespaceId } from '../model/network.ts'
import { type FileAt, fileAt } from './file-at.ts'
import { isRecorded, tryOpenNetns } from './netns.ts'

/** A namespace as it was recorded: by path and identity. */
export type RecordedNetns = { path: string } & NamespaceId

let bootId: string | undefined

/** The kernel's random id of this boot. */
export function currentBootId(): string {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return bootId
}

/**
 * A check of recorded namespaces: true for one that no longer exists. /proc is searched at most once, when
 * the first path turns out to lead elsewhere, so make a new check after time has passed.
 * @param recordedAt when it was written down, ISO 8601; with it most need not be asked for their cookie, and all is
 *   true as far as the clock was never set back
 */
export function goneCheck(): (recorded: RecordedNetns, recordedAt?: string) => boolean {
  let found: Map<string, string> | undefined
  return (recorded, recordedAt) => {
    if (!pathLeadsElsewhere(recorded, recordedAt)) return false
    found ??= namespacesInUse()
    const place = found.get(nameOf(recorded.ino))
    return place === undefined || isAnother(place, recorded)
  }
}

function pathLeadsElsewhere(recorded: RecordedNetns, recordedAt: string | undefined): boolean {
  const { path, dev, ino } = recorded
  try {
    const now = fileAt(path)
    if (now === undefined || now.dev !== dev || now.ino !== ino) return true
    return !wasThere(now, recordedAt) && isAnother(path, recorded)
  } catch (thrown) {
    // What cannot be looked at is not provably gone.
    return hasCode(thrown, 'ESRCH')
  }
}

/** The clock of files stands still for some milliseconds. */
const STANDSTILL_MS = 20

/**
 * True of a file that was there when the namespace was written down: it is that namespace's, since a number is given to
 * one at a time. The file of a namespace is made when somebody looks, and stays while a mount or a descriptor holds it.
 */
const wasThere = ({ ctimeMs }: FileAt, recordedAt: string | undefined): boolean =>
  recordedAt !== undefined && ctimeMs + STANDSTILL_MS < Date.parse(recordedAt)

/** True where a namespace with the recorded numbers is another one by its cookie; two of one number cannot be at once. */
function isAnother(path: string, recorded: RecordedNetns): boolean {
  if (recorded.cookie === undefined) return false
  using netns = tryOpenNetns(path)
  // Hidden by a mount, or gone while we look: nothing is known.
  if (netns === undefined || netns.id.dev !== recorded.dev || netns.id.ino !== recorded.ino) return false
  return !isRecorded(netns, recorded)
}

const nameOf = (ino: number): string => `net:[${ino}]`

/**
 * Every network namespace that a process is in, holds open or has mounted, as `net:[4026531840]`, with a path that
 * leads there.
 */
export function namespacesInUse(): Map<string, string> {
  const found = new Map<string, string>()
  const mountsSeen = new Set<string>()
  for (const pid of numbersIn('/proc')) {
    const process = `/proc/${pid}`
    for (const task of numbersIn(`${process}/task`)) addTarget(found, `${process}/task/${task}/ns/net`)
    for (const fd of numbersIn(`${process}/fd`)) addTarget(found, `${process}/fd/${fd}`)
    const mountNamespace = linkAt(`${process}/ns/mnt`)
    if (mountNamespace === undefined || mountsSeen.has(mountNamespace)) continue
    mountsSeen.add(mountNamespace)
    for (const [, name = '', point = ''] of textOf(`${process}/mountinfo`).matchAll(MOUNTED)) {
      if (!found.has(name)) found.set(name, `${process}/root${unescaped(point)}`)
    }
  }
  return found
}

// A descriptor got through a bind mount shows the mount's path, which is in a mountinfo, and after the
// mount is gone "/". Only then is the file itself asked: on a dead network mount that would hang.
function addTarget(found: Map<string, string>, path: string): void {
  const target = linkAt(path)
  if (target?.startsWith('net:[')) found.set(target, path)
  if (target !== '/') return
  const file = quietly(() => statSync(path), undefined)
  if (file?.dev === statSync('/proc/self/ns/net').dev) found.set(nameOf(file.ino), path)
}

/** Root and mount point in a line of proc_pid_mountinfo(5). */
const MOUNTED = / (net:\[\d+\]) (\S+)/g

const unescaped = (point: string): string =>
  point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

// Processes come and go while we look; what vanishes underneath us holds nothing. But when it is we who are
// short of descriptors, nothing is known.
function quietly<T, U>(look: () => T, otherwise: U): T | U {
  try {
    return look()
  } catch (thrown) {
    if (hasCode(thrown, 'EMFILE', 'ENFILE', 'ENOMEM')) throw thrown
    return otherwise
  }
}

const numbersIn = (folder: string) =>
  quietly(() => readdirSync(folder).filter(name => /^\d+$/.test(name)), [])
const linkAt = (path: string) => quietly(() => readlinkSync(path), undefined)
const textOf = (path: string) => quietly(() => readFileSync(path, 'utf8'), '')
