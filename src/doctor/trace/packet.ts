/** What is asked for, and who sends it. */

import type { Endpoint } from '../../ffi/sockaddr.ts'
import type { Family, HostIp, Ip } from '../../model/address/address.ts'
import type { Protocol } from '../../model/port-mapping.ts'

export interface Asked {
  protocol: Protocol
  port: number
  /** Where the port is; absent: on all addresses. */
  hostIp?: HostIp
  /** Whose packet it shall be; absent: this host's own. */
  from?: Ip
}

/** What the sender has heard: an answer, a refusal, or nothing, which of UDP says little. */
export type Outcome = 'answered' | 'refused' | 'silent'

export interface Sender extends Disposable {
  description: string
  family: Family
  /** What it asks for. */
  to: Endpoint
  /** By which its packet is told from all others. */
  sourcePort: number
  send(): void
  outcome(): Outcome
}
