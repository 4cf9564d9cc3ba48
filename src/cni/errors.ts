/** Our error codes as the spec's numbers, and the error object that goes to stdout. */

import { type ErrorCode, messageOf, TsnetError } from '../model/errors.ts'
import { type SystemFailure, systemFailure } from '../model/system-failure.ts'
import { type Command, newest, type Version } from '../runtime/cni-versions.ts'

/** CNI 1.1.0, "Error": below 100 the spec's, from 100 on ours, 999 a fault of ours. */
export const numbers: Record<ErrorCode, number> = {
  'incompatible-version': 1,
  'unsupported-field': 2,
  'unknown-container': 3,
  'invalid-environment': 4,
  io: 5,
  decode: 6,
  'invalid-config': 7,
  'invalid-netns': 8,
  'try-again': 11,
  exhausted: 100,
  conflict: 101,
  mismatch: 102,
  kernel: 103,
  delegate: 104,
  missing: 105,
  'not-running': 106,
  internal: 999,
}

// STATUS has two numbers of its own: the next ADD would fail (50), and containers that run may suffer
// from the same (51). What is wrong with the question itself keeps its number.
const UNAVAILABLE = 50
const LIMITED = 51
const statusNumbers: Partial<Record<ErrorCode, number>> = {
  exhausted: UNAVAILABLE,
  conflict: UNAVAILABLE,
  kernel: UNAVAILABLE,
  delegate: UNAVAILABLE,
  missing: UNAVAILABLE,
  'try-again': UNAVAILABLE,
  mismatch: LIMITED,
}

export interface ErrorObject {
  cniVersion: string
  code: number
  msg: string
  details?: string
}

/** Anything that was thrown, as the caller hears of it. */
export function errorObject(
  thrown: unknown,
  command: Command | undefined,
  version: Version = newest,
): ErrorObject {
  const first = firstTsnetError(thrown)
  const system = systemFailure(firstError(thrown))
  const details = [detailsOf(thrown, system), system?.details].filter(Boolean).join('; ') || undefined
  return {
    cniVersion: version,
    code: numberOf(first, system, command),
    msg: messageOf(thrown) || 'no message',
    ...(details === undefined ? {} : { details }),
  }
}

function numberOf(
  error: TsnetError | undefined,
  system: SystemFailure | undefined,
  command: Command | undefined,
): number {
  // What is used up now may be there later, whatever it was needed for.
  const code = system?.code === 'try-again' ? system.code : (error?.code ?? system?.code ?? 'internal')
  return error?.pluginCode ?? (command === 'STATUS' ? statusNumbers[code] : undefined) ?? numbers[code]
}

const firstError = (thrown: unknown): unknown =>
  thrown instanceof AggregateError ? firstError(thrown.errors[0]) : thrown

// An AggregateError tells of several failures; the first is what the others followed from.
function firstTsnetError(thrown: unknown): TsnetError | undefined {
  if (thrown instanceof TsnetError) return thrown
  if (!(thrown instanceof AggregateError)) return undefined
  for (const one of thrown.errors) {
    const found = firstTsnetError(one)
    if (found !== undefined) return found
  }
  return undefined
}

function detailsOf(thrown: unknown, system: SystemFailure | undefined): string | undefined {
  if (thrown instanceof AggregateError)
    return (
      thrown.errors
        .map(one => detailsOf(one, systemFailure(one)))
        .filter(Boolean)
        .join('; ') || undefined
    )
  if (thrown instanceof TsnetError) return thrown.details
  if (system !== undefined) return undefined
  // Not foreseen, so a fault of ours: say where.
  return thrown instanceof Error ? thrown.stack : undefined
}
