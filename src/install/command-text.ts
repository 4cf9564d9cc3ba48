/** A command as it describes itself: what man pages and completions are made of. */

export interface CommandText {
  /** `publish`, or of a group `network create`. */
  name: string
  description: string
  /** After the name: `[options] <words...>`. */
  usage: string
  arguments: ArgumentText[]
  options: OptionText[]
  /** `words` follow `tsnet `. */
  examples: { words: string; does: string }[]
  files: Place[]
  environment: Place[]
}

export interface ArgumentText {
  name: string
  description: string
  /** It stands for all words that follow, too. */
  isLast?: boolean
  /** What `tsnet __complete` tells of, where the word is such. */
  kind?: string | undefined
}

export interface OptionText {
  /** `-p, --publish <port>`. */
  flags: string
  description: string
  /** `--publish`. */
  long: string
  takesValue: boolean
  /** What holds without it. */
  fallback?: string | undefined
  /** All that may stand there; none: other than can be listed. */
  choices: readonly string[]
  /** As that of an argument. */
  kind?: string | undefined
}

/** A file or a variable. */
export interface Place {
  name: string
  means: string
}
