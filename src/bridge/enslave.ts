/** A link becomes a port of a bridge. */

import { TsnetError } from '../model/errors.ts'
import type { LinkRef } from '../netlink/link/link.ts'
import { NetlinkError } from '../netlink/netlink.ts'

/** The bridge by index and name. */
export type BridgeRef = Required<LinkRef>

/** asm-generic/errno.h; Node has no name for it. */
const EXFULL = 54

/** Explains why a bridge takes no port. @throws TsnetError `exhausted` */
export function enslave<T>(bridge: BridgeRef, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (!(cause instanceof NetlinkError && cause.errno === EXFULL)) throw cause
    throw new TsnetError('exhausted', `bridge ${bridge.name} has as many ports as a bridge can have (1023)`, {
      details: 'put further containers on a network with another bridge',
      cause,
    })
  }
}
