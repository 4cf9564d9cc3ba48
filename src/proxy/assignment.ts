/** What a worker is told to serve: a publication with its sockets, made of numbers and plain values. */

import type { Protocol } from '../model/port-mapping.ts'
import type { Destination } from './destination.ts'
import type { FrozenClient } from './frozen.ts'
import type { Options } from './publication.ts'

export interface Assignment {
  id: string
  protocol: Protocol
  /** Ports; sockets of one host address stand together, in the order of the ports. */
  count: number
  /** Descriptors of bound (UDP) or listening sockets. They stay the maker's. */
  sockets: Int32Array
  destinations: Destination[]
  options: Options
  /** The counter tables of all workers, ours at `worker`. */
  counters: SharedArrayBuffer[]
  worker: number
  /** Everything stands still: nobody is taken before `thaw`. */
  frozen: boolean
}

/** From the maker to a worker. `request` comes back when it is done. */
export type Command =
  | { kind: 'serve'; request: number; assignment: Assignment }
  /** New clients go to other destinations; the old ones are not dialled any more when this is done. */
  | { kind: 'retarget'; request: number; id: string; destinations: Destination[] }
  /** New clients are not taken any more when this is done. */
  | { kind: 'silence'; request: number; id: string }
  /** Done when the last client has left, or was reset after drainMs. */
  | { kind: 'drain'; request: number; id: string; drainMs: number }
  /** Everything stands still: no client is taken, and those who are here come back with `done`. */
  | { kind: 'freeze'; request: number }
  /** Clients are taken again, and these go on. */
  | { kind: 'thaw'; request: number; clients: FrozenClient[] }
  | { kind: 'stop'; request: number }

/** From a worker to its maker. */
export type Report =
  | { kind: 'done'; request: number; frozen?: FrozenClient[] }
  /** A source threw; whatever it served was ended, all else goes on. */
  | { kind: 'fault'; message: string }
