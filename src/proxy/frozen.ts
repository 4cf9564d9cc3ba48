/**
 * Connections that stand still, as plain values: what one process tells another that takes them over.
 *
 * Descriptor numbers are those of the process that froze; whoever thaws has copies under numbers of its
 * own. What was read and not sent yet travels as bytes. UDP sessions stay behind: the next datagram of a
 * client begins a new one.
 */

export interface FrozenConnection {
  /** The publication's id. */
  id: string
  /** Index of the published port. */
  port: number
  client: number
  /** Absent: no target has answered yet. */
  target?: number
  /** Index of the target. */
  choice: number
  up: FrozenHalf
  down: FrozenHalf
}

export interface FrozenHalf {
  /** The sender has ended its stream. */
  ended: boolean
  /** And the receiver was told. */
  endPassed: boolean
  /** Read and not sent yet. */
  pending?: Uint8Array
}
