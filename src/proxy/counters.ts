/**
 * What happened on each port, counted where it happens and read from anywhere.
 *
 * Each worker has a table of its own in shared memory, ten numbers a port, which it alone writes; whoever
 * asks adds the tables up. A port costs 80 bytes and counting costs no message.
 */

export interface Counters {
  /** Connections accepted, whatever became of them; UDP sessions begun. */
  accepted: number
  /** Those there are now. */
  active: number
  /** Turned away at once: limits, allow and deny lists, no descriptor left. */
  refused: number
  /** Reset because no target answered; UDP: datagrams that could not be sent on. */
  failed: number
  /** From clients to targets. */
  bytesIn: number
  bytesOut: number
  datagramsIn: number
  datagramsOut: number
  /** UDP sessions that were ended to make room for others. */
  evicted: number
  /** Of those turned away, whom allow and deny lists keep out. */
  denied: number
}

// In the order of the table.
export const ACCEPTED = 0
export const ACTIVE = 1
export const REFUSED = 2
export const FAILED = 3
export const BYTES_IN = 4
export const BYTES_OUT = 5
export const DATAGRAMS_IN = 6
export const DATAGRAMS_OUT = 7
export const EVICTED = 8
export const DENIED = 9
export const FIELDS = 10

/** A worker's table for a publication of so many ports. */
export const counterTable = (ports: number): SharedArrayBuffer => new SharedArrayBuffer(ports * FIELDS * 8)

/** The sum over tables and over the ports from `first` on. */
export function sumCounters(tables: readonly SharedArrayBuffer[], first: number, count: number): Counters {
  const sums = new Float64Array(FIELDS)
  for (const table of tables) {
    const numbers = new Float64Array(table, first * FIELDS * 8, count * FIELDS)
    for (let i = 0; i < numbers.length; i++) sums[i % FIELDS] = (sums[i % FIELDS] ?? 0) + (numbers[i] ?? 0)
  }
  const [accepted = 0, active = 0, refused = 0, failed = 0] = sums
  const [bytesIn = 0, bytesOut = 0, datagramsIn = 0, datagramsOut = 0, evicted = 0, denied = 0] =
    sums.subarray(BYTES_IN)
  return { accepted, active, refused, failed, bytesIn, bytesOut, datagramsIn, datagramsOut, evicted, denied }
}

/** The connections there are: of a worker that is no more, none. */
export function forgetActive(table: SharedArrayBuffer): void {
  const numbers = new Float64Array(table)
  for (let i = ACTIVE; i < numbers.length; i += FIELDS) numbers[i] = 0
}
