/**
 * Every parser of what others write, and what it promises: a value or its own error, soon, and nothing else.
 *
 *     subjects/*.ts     what is fuzzed: a name, samples, what reads them, what must hold of the value
 *     texts, bytes,     inputs out of samples: some that nobody would write, and real ones that were damaged;
 *     documents         long ones, in which whatever takes more than its share of time shows
 *     promises          what is held against a subject
 *     run               so many inputs of one subject: seed in, failures out, each with the smallest input found
 *     corpus            inputs that found a fault once, tried again each time
 *     main              `npm run test:fuzz`; watchdog ends what hangs and says on which input
 *     executable        calls of the executables, on a host of the lab
 *
 * An input is named by the subject, a seed and a path, as fast-check has them, and comes again by these.
 */

import type { Arbitrary } from 'fast-check'

/** What can be in a corpus: text, bytes, and lists and objects of these. */
export type Input = unknown

export interface Subject<I = Input> {
  /** `netlink/link`: the folder that reads, and what. */
  name: string
  inputs: Arbitrary<I>
  /** Of about so many characters or bytes. */
  long: (length: number) => I[]
  /** @throws where the promise is broken */
  holds(input: I): void | Promise<void>
  /** How many times as often as others; less than one for what reads files. */
  weight: number
}

/** A list of subjects of any inputs. */
export const subjects = (...all: Subject[]): readonly Subject[] => all
