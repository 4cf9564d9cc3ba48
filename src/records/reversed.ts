/**
 * A publication in reverse as it is written down: its target is `{ "reverse": PORT }`. Builds before it know of no such
 * target, and take the file for damaged: else they would listen on the port of this host that is to be dialled.
 */

import type { Publication } from '../model/publication/publication.ts'

type Target = Publication['target']
export type WrittenTarget = Target | { reverse: number }

export const writtenTarget = ({ target, reverse }: Pick<Publication, 'target' | 'reverse'>): WrittenTarget =>
  reverse && 'port' in target ? { reverse: target.port } : target

/** The same, read. */
export const readTarget = (target: WrittenTarget): Pick<Publication, 'target' | 'reverse'> =>
  'reverse' in target ? { target: { port: target.reverse }, reverse: true } : { target }
