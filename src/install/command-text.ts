/** A command as it describes itself: what man pages and completions are made of. */

export interface CommandText {
  name: string
  description: string
  /** After the name: `[options] <words...>`. */
  usage: string
  arguments: { name: string; description: string }[]
  options: OptionText[]
}

export interface OptionText {
  /** `-p, --publish <port>`. */
  flags: string
  description: string
  /** `--publish`. */
  long: string
  takesValue: boolean
}
