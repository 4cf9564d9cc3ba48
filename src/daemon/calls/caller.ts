/**
 * Who connected to the call socket, as /proc shows it: nobody has to say anything about himself.
 *
 * A pid is good for as long as its process lives, and what is read in /proc of a process that died may be
 * that of another. So the connection is looked at last: while it is open, whoever opened it lives.
 *
 * We serve whoever is in our network namespace and names files that are ours too. Others have the call
 * done in their own process.
 */

import { readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { Fd } from '../../ffi/fd.ts'
import { isPeerThere, peerOf } from '../../ffi/peer.ts'
import { columnsOfTerminal, copyDescriptor, openProcess } from '../../ffi/pidfd.ts'
import { present } from '../../model/present.ts'
import type { Surroundings } from '../../model/surroundings.ts'
import { netnsHere, sameNamespace } from '../../netns/netns.ts'
import { processIdentity } from '../../netns/processes.ts'

export interface CallingProcess {
  pid: number
  /** The name by which it was executed. */
  calledAs: string
  /** What it was called with. */
  words: string[]
  env: Surroundings['env']
  /** Its working directory. */
  directory: string
  /** Pid and start. */
  identity: string
  /** Its view of the files is the same as ours; else that has to be shown, path by path. */
  sameView: boolean
}

/** The process at the other end of a connection, if it is one that we serve. */
export function readCaller(socket: Socket): CallingProcess | undefined {
  try {
    const { pid, uid } = peerOf(socket)
    // One of another pid namespace has no name here; and the socket is for root alone in any case.
    if (pid === 0 || uid !== 0) return undefined
    const process = `/proc/${pid}`
    if (!sameNamespace(statSync(`${process}/ns/net`), netnsHere().id)) return undefined
    const env = parseEnvironment(readFileSync(`${process}/environ`, 'utf8'))
    const [path = '', ...words] = readCommandLine(process)
    const calledAs = basename(path)
    const directory = readlinkSync(`${process}/cwd`)
    const identity = processIdentity(pid)
    const sameView =
      readlinkSync(`${process}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt') &&
      sameFile(`${process}/root/`, '/')
    if (identity === undefined || !isPeerThere(socket)) return undefined
    return { pid, calledAs, words, env, directory, identity, sameView }
  } catch {
    // It has gone, or is none that we may look at.
    return undefined
  }
}

/** @param text of proc_pid_environ(5) */
export function parseEnvironment(text: string): Surroundings['env'] {
  const env = new Map<string, string>()
  for (const entry of text.split('\0')) {
    // A name has a character at least, which may be an equals sign.
    const end = entry.indexOf('=', 1)
    const name = entry.slice(0, end)
    // Of a name that is there twice, the first counts for getenv(3).
    if (end > 0 && !env.has(name)) env.set(name, entry.slice(end + 1))
  }
  return Object.fromEntries(env)
}

/** A script is the second word of a command line that Node is the first of. */
function readCommandLine(process: string): string[] {
  // Each word ends in NUL, the last one too.
  const words = readFileSync(`${process}/cmdline`, 'utf8').split('\0').slice(0, -1)
  const isScript = basename(readlinkSync(`${process}/exe`)) === basename(globalThis.process.execPath)
  return words.slice(isScript ? 1 : 0)
}

/** Major numbers of terminals: virtual and serial ones, /dev/tty and the console. Source: Linux, devices.txt */
const TERMINALS: readonly number[] = [4, 5]
/** Of pseudo terminals' slaves. */
const PTS = { first: 136, last: 143 }

/** What a descriptor is to whoever writes for people. */
export interface Outlet {
  isTTY: boolean
  /** How wide a terminal is; absent where it does not say. */
  columns?: number
}

/**
 * Whether a descriptor of a process is a terminal, and how wide.
 * @returns undefined for a device of which only its holder can tell
 */
export function outletOf(pid: number, number: number): Outlet | undefined {
  const stat = statSync(`/proc/${pid}/fd/${number}`)
  if (!stat.isCharacterDevice() || stat.rdev === statSync('/dev/null').rdev) return { isTTY: false }
  // As makedev(3) puts them together.
  const major = (stat.rdev >>> 8) & 0xfff
  if (!TERMINALS.includes(major) && (major < PTS.first || major > PTS.last)) return undefined
  using caller = openProcess(pid)
  using copy = new Fd(copyDescriptor(caller, number))
  return { isTTY: true, ...present({ columns: columnsOfTerminal(copy) }) }
}

/** Hold paths, or lists of them. */
const PATHS = ['NETCONFPATH', 'CNI_PATH', 'CONTAINERS_CONF', 'CONTAINERS_STORAGE_CONF'] as const

/** True where the environment names files from where the caller is, which only he can follow. */
export const hasPathsOfItsOwn = (env: Surroundings['env']): boolean =>
  PATHS.some(name => env[name]?.split(':').some(path => path !== '' && !path.startsWith('/')))

/**
 * True when every path leads the caller to the file that it leads us to, or both of us nowhere. What depends
 * on the process does not: /proc/self, a path from the working directory.
 */
export function sharesFiles({ pid, sameView }: CallingProcess, paths: readonly string[]): boolean {
  if (
    paths.some(path => !path.startsWith('/') || /^\/+(proc\/+(self|thread-self)|dev\/+(fd|std))/.test(path))
  )
    return false
  if (sameView) return true
  // A link is followed to its end first: an absolute one below /proc/PID/root would lead back to our files.
  const resolved = paths.flatMap(path => [path, resolve(path)])
  try {
    return resolved.every(path => sameFile(join(`/proc/${pid}/root`, path), path))
  } catch {
    // A path that nobody can follow.
    return false
  }
}

function resolve(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function sameFile(theirs: string, ours: string): boolean {
  const look = (path: string) => statSync(path, { throwIfNoEntry: false })
  const [a, b] = [look(theirs), look(ours)]
  if (a === undefined && b === undefined) return ours === '/' || sameFile(dirname(theirs), dirname(ours))
  return a?.dev === b?.dev && a?.ino === b?.ino
}
