/**
 * Errors are for people, and matched by code.
 *
 * A message says what failed, on what, why, and what to do. Callers look at `code`, never at the text.
 * TypeError and RangeError are left to programming mistakes; everything that input, the kernel or the
 * disk can cause is a TsnetError.
 */

/** What went wrong, in words that stay the same; `cni/` translates them to the spec's numbers. */
export type ErrorCode =
  /** The caller speaks another CNI version. */
  | 'incompatible-version'
  /** A key is known but its value, or the combination, is not supported. */
  | 'unsupported-field'
  | 'unknown-container'
  /** The container exists but does not run. */
  | 'not-running'
  /** A CNI_* variable, an argument or an option is missing or malformed. */
  | 'invalid-environment'
  /** Reading or writing a file or a stream failed. */
  | 'io'
  /** Text that should have been JSON is not. */
  | 'decode'
  /** A network configuration breaks a rule. */
  | 'invalid-config'
  | 'invalid-netns'
  /** A lock or a resource is held by somebody else for now. */
  | 'try-again'
  /** No address is left, or the asked one is taken. */
  | 'exhausted'
  /** A port, an interface name or an address is in use. */
  | 'conflict'
  /** What CHECK expected is not what the kernel holds. */
  | 'mismatch'
  /** The kernel or a tool refused. */
  | 'kernel'
  /** A plugin we delegate to failed. */
  | 'delegate'
  /** A tool, a library or a kernel option is missing on this machine. */
  | 'missing'
  | 'internal'

export class TsnetError extends Error {
  override readonly name = 'TsnetError'
  readonly code: ErrorCode
  /** More for the reader: what was tried, what to do. */
  readonly details: string | undefined
  /** With `delegate`: the number that the plugin itself answered, which we pass on. */
  readonly pluginCode: number | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: string; cause?: unknown; pluginCode?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details
    this.pluginCode = options.pluginCode
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof AggregateError) return thrown.errors.map(messageOf).join('; ')
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** True for an error (Node's, ours or libc's) that carries one of these codes, such as `ENOENT`. */
export function hasCode(thrown: unknown, ...codes: string[]): boolean {
  return thrown instanceof Error && 'code' in thrown && codes.includes(String(thrown.code))
}
