/** Whom the host asks, as its resolv.conf says it now. */

import { statSync } from 'node:fs'
import { hostServersIn } from '../../dns/dns.ts'
import { readGiven } from '../../ffi/regular-file.ts'
import type { Ip } from '../../model/address/address.ts'

const PATH = '/etc/resolv.conf'

export class HostServers {
  #mark: string | undefined
  #servers: Ip[] = []

  /** Read again where the file is another, or was changed. */
  now(): readonly Ip[] {
    const file = statSync(PATH, { throwIfNoEntry: false })
    const mark = file && `${file.dev} ${file.ino} ${file.size} ${file.mtimeMs}`
    if (mark === this.#mark) return this.#servers
    this.#mark = mark
    try {
      this.#servers = mark === undefined ? [] : hostServersIn(readGiven(PATH))
    } catch {
      // As a resolver does that cannot read it: those of before.
      this.#mark = undefined
    }
    return this.#servers
  }
}
