/**
 * What tsnet knows of this host, as files under the run directory (`/run/tsnet`, or TSNET_RUN_DIR).
 *
 *     attachments/<owner>.json     one attachment: `attaching`, `attached` or `detaching`
 *     users/<resource>/<owner>     who uses something shared: a bridge, a rule set, forwarding
 *     ports/<protocol>-<n>.json    who publishes the 256 ports from n·256 on
 *     portmap/<owner>.json         what the plugin of a chain did for an attachment, and firewall/ the same
 *     publications/<id>.json       what `tsnet publish` published
 *     host.json                    what was changed on the host itself; bridges/, hairpin/ … on other things
 *     copies/…                     a second one of what nothing else tells (state-files.ts)
 *     damaged/…                    what could not be understood; nobody reads it
 *     *.lock                       held while something is changed; gone afterwards
 *
 * The state of an attachment is the journal: it is written before the first change and taken away after
 * the last, so an entry that says `attaching` or `detaching` while nobody holds its lock is the work of
 * somebody who died, and names all there is to take down. Every file appears whole (rename). Nothing here
 * is synced to disk: a power loss ends all that it speaks of.
 *
 * Directories are made when needed and removed when empty (run-directory.ts).
 */

import { closeSync, constants, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { hasName } from '../ffi/folder.ts'
import { type FileLock, lockFile, tryLockFile } from '../ffi/lock.ts'
import { hasCode } from '../model/errors.ts'
import type { Attachment, Undertaking } from '../model/network.ts'
import { endOrphans } from '../netns/orphans.ts'
import { inDirectory, inDirectorySync, listNames, removeEmptyParents, runDirectory } from './run-directory.ts'
import { entryShape } from './shapes.ts'
import {
  type IsMeant,
  mapStates,
  readState,
  removeNamed,
  removeState,
  TEMPORARY,
  writeState,
} from './state-files.ts'

export { removeEmptyParents, runDirectory } from './run-directory.ts'

/** One attachment and how far it has come. */
export type Entry =
  /** Somebody is making it, or died making it. */
  | { state: 'attaching'; attachment: Undertaking }
  | { state: 'attached'; attachment: Attachment }
  /** Somebody is taking it down, or died doing so. */
  | { state: 'detaching'; attachment: Undertaking }

/** With its owner tag. */
export interface NamedEntry {
  owner: string
  entry: Entry
}

/** The folder of the entries. */
export const ENTRIES = 'attachments'

/** Where the entries are. */
export const entriesFolder = (): string => join(runDirectory(), ENTRIES)

/** The file of one. */
export const entryPath = (owner: string): string => join(entriesFolder(), `${owner}.json`)

/** The owner tag that a file of the folder of entries is called by. */
export const ownerIn = (name: string): string | undefined => /^([0-9a-f]{16})\.json$/.exec(name)?.[1]

const entryName = (owner: string): string => `${ENTRIES}/${owner}.json`

/** The entry of an attachment. A file that cannot be understood is set aside and counts as none. */
export const readEntry = (owner: string): Entry | undefined =>
  readState<Entry>(entryName(owner), entryShape(owner))

export const writeEntry = (owner: string, entry: Entry): void => writeState(entryName(owner), entry)

export const removeEntry = (owner: string): void => removeState(entryName(owner))

/** Owner tags of all that has an entry. */
export const listOwners = (): string[] => listNames(ENTRIES).flatMap(name => ownerIn(name) ?? [])

/** Every entry of this host, with its owner tag. */
export const listEntries = (): NamedEntry[] => mapEntries(named => named)

/**
 * What is made of every entry: where that is little, a full host's need not be in memory at once.
 * @param isMeant by the text of its file and its owner tag, whether an entry is looked at; absent: each
 */
export const mapEntries = <T>(make: (named: NamedEntry) => T, isMeant?: IsMeant): T[] =>
  mapStates<Entry, T>(
    ENTRIES,
    name => {
      const owner = ownerIn(name)
      return owner === undefined ? undefined : entryShape(owner)
    },
    (entry, name) => make({ owner: ownerIn(name) ?? '', entry }),
    { isMeant: isMeant && ((text, name) => isMeant(text, ownerIn(name) ?? '')) },
  )

/** Counts an owner among the users of something shared. */
export function addUser(resource: string, owner: string): void {
  // Nothing is in it, so it is whole from its first moment.
  inDirectorySync(userPath(resource, owner), path => {
    try {
      closeSync(openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600))
    } catch (thrown) {
      // Whatever stands there: its name is what counts.
      if (!hasCode(thrown, 'EISDIR', 'ENXIO', 'ELOOP')) throw thrown
    }
  })
}

const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants

/** Takes an owner from the users of something shared. */
export function removeUser(resource: string, owner: string): void {
  removeNamed(`users/${resource}/${owner}`)
  removeEmptyParents(userPath(resource, owner))
}

/** Who uses something shared. */
export const listUsers = (resource: string): string[] => listNames(join('users', resource)).filter(isUserName)

/** False for what a process of an earlier version left that was killed: it wrote such files as others are written. */
const isUserName = (name: string): boolean => !name.endsWith(TEMPORARY)

const folderOfUsers = (resource: string): string => join(runDirectory(), 'users', resource)
const userPath = (resource: string, owner: string): string => join(folderOfUsers(resource), owner)

/** True when nobody but this owner uses it. Costs the same however many do. */
export const isLastUser = (resource: string, owner: string): boolean =>
  !hasName(folderOfUsers(resource), user => user !== owner && isUserName(user))

/** True for one of those who use it. */
export const isUser = (resource: string, owner: string): boolean => existsSync(userPath(resource, owner))

/**
 * What an owner uses of one kind: what its record would tell, where that is lost.
 * @param kind `bridge-`
 * @returns the names behind it
 */
export const namesUsed = (kind: string, owner: string): string[] =>
  listResources(kind)
    .filter(resource => isUser(resource, owner))
    .map(resource => resource.slice(kind.length))

/** Whatever somebody uses of one kind. */
export const listResources = (kind: string): string[] =>
  listNames('users').filter(resource => resource.startsWith(kind))

/** Runs `work` while nobody else in the host does anything under the same lock. */
export async function whileLocked<T>(name: string, work: () => T | Promise<T>): Promise<T> {
  const lock = await inDirectory(lockPath(name), path => lockFile(path, { removeAfter: true }))
  return release(lock, name, work)
}

/** As whileLocked, but does nothing and returns undefined when somebody holds the lock. */
export async function unlessLocked<T>(name: string, work: () => T | Promise<T>): Promise<T | undefined> {
  const lock = await inDirectory(lockPath(name), async path => tryLockFile(path, { removeAfter: true }))
  return lock === undefined ? undefined : release(lock, name, work)
}

async function release<T>(lock: FileLock, name: string, work: () => T | Promise<T>): Promise<T> {
  try {
    // What the one before us had started may still work for it, and would undo what we do.
    if (lock.wasLeft) await endOrphans()
    return await work()
  } finally {
    lock[Symbol.dispose]()
    removeEmptyParents(lockPath(name))
  }
}

/** The file of the lock of this name, which is gone when nobody holds it. */
export const lockPath = (name: string): string => join(runDirectory(), `${name}.lock`)
