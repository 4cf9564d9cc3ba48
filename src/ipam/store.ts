/**
 * host-local's files: `<dataDir>/<network>/<address>` holds who has the address, `last_reserved_ip.<n>`
 * where the round robin of set n stands.
 *
 * A lease is written elsewhere on the same file system and appears whole by link(2), which fails where the
 * name is taken. So no reader ever sees half of one, and no two callers get one address. What holds no
 * readable owner was left by a host-local that was killed, or by a power loss.
 */

import { linkSync, lstatSync, readdirSync, statSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../ffi/folder.ts'
import { readRegular } from '../ffi/regular-file.ts'
import { type Ip, tryParseIp } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import { clearPlace, writeNew, writeOver } from './places.ts'

/** Who a lease file says has the address. The oldest host-locals wrote no interface. */
export interface Holder {
  containerId: string
  ifname?: string
}

/** What is in a lease file; `garbage` names no holder. */
export type LeaseContent = Holder | 'garbage'

/** The microseconds of a marked folder's time. */
const MARK_US = 618_034n

export class LeaseStore {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  get exists(): boolean {
    return lstatSync(this.directory, { throwIfNoEntry: false }) !== undefined
  }

  create(): void {
    makeFolder(this.directory, 0o755)
  }

  isTaken(ip: Ip): boolean {
    return lstatSync(join(this.directory, ip), { throwIfNoEntry: false }) !== undefined
  }

  /** All taken addresses. One readdir(3). */
  list(): Set<Ip> {
    const taken = new Set<Ip>()
    for (const name of readdirSync(this.directory)) {
      if (tryParseIp(name) === name) taken.add(name as Ip)
    }
    return taken
  }

  /** @returns undefined when the address is not leased */
  read(ip: Ip): LeaseContent | undefined {
    return readLease(join(this.directory, ip))
  }

  /**
   * Makes a file that holds a lease's text the lease of an address.
   * @returns false when the address is taken
   */
  claim(ip: Ip, written: string): boolean {
    try {
      linkSync(written, join(this.directory, ip))
      return true
    } catch (thrown) {
      if (hasCode(thrown, 'EEXIST')) return false
      throw thrown
    }
  }

  free(ip: Ip): void {
    clearPlace(join(this.directory, ip))
  }

  /** The address of the set given out last, if the file says so. */
  last(set: number): Ip | undefined {
    const content = readRegular(this.#lastPath(set))
    return content !== undefined && 'text' in content ? tryParseIp(content.text) : undefined
  }

  // Torn by a kill it is no address, and the round robin starts anew: not worth a rename.
  setLast(set: number, ip: Ip): void {
    const path = this.#lastPath(set)
    try {
      writeOver(path, ip)
    } catch (thrown) {
      if (!hasCode(thrown, 'EISDIR', 'ENXIO', 'ELOOP')) throw thrown
      writeNew(path, ip)
    }
  }

  /**
   * True when the folder was last changed under `mark`, and by nobody since: whoever makes or removes a file gives
   * the folder the time of that moment, of which one in a million looks like ours.
   */
  get isMarked(): boolean {
    const stats = statSync(this.directory, { bigint: true, throwIfNoEntry: false })
    return stats !== undefined && (stats.mtimeNs / 1000n) % 1_000_000n === MARK_US
  }

  mark(): void {
    // Half a microsecond more, since a number of seconds is not exact to the last.
    const now = Math.floor(Date.now() / 1000) + (Number(MARK_US) + 0.5) / 1e6
    utimesSync(this.directory, now, now)
  }

  #lastPath(set: number): string {
    return join(this.directory, `last_reserved_ip.${set}`)
  }
}

/** The text of a lease, as host-local writes it. */
export const leaseText = (holder: { containerId: string; ifname: string }): string =>
  `${holder.containerId}\r\n${holder.ifname}`

/** Reads a lease's text, white space around it ignored, as host-local does. */
export function parseLease(text: string): LeaseContent {
  const [containerId = '', ifname] = text.trim().split(/\r?\n/, 2)
  // A power loss leaves zeros; anything printable could be somebody's.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (containerId === '' || /[\0-\x08]/.test(text)) return 'garbage'
  return ifname === undefined ? { containerId } : { containerId, ifname }
}

/** What stands in the place of a lease and is no file names nobody, and is never waited for. */
function readLease(path: string): LeaseContent | undefined {
  const content = readRegular(path, { atMost: LARGEST_LEASE })
  if (content === undefined) return undefined
  return 'text' in content ? parseLease(content.text) : 'garbage'
}

/** An id has no length limit, but a file of a megabyte names nobody. */
const LARGEST_LEASE = 1024 * 1024
