/** What a list answered, as far as people are told. */

import { readPrevious } from '../cni/config/previous.ts'
import { Json } from '../model/json/json.ts'

/** A CNI result in the version of the list. */
export type RawResult = Record<string, unknown>

/** The addresses of a result, with their prefix lengths. */
export const addressesIn = (result: RawResult): string[] =>
  readPrevious(new Json({ prevResult: result }, ''))?.ips.map(({ address }) => address) ?? []
