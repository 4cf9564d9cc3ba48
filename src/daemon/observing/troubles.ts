/** What went wrong lately, for who asks the daemon how it is; all of it is in its log as well. */

/** A line of the log. */
export interface Trouble {
  /** ISO 8601. */
  at: string
  what: string
}

/** More than this many are in the log alone. */
const KEPT = 20

export class Troubles {
  #kept: Trouble[] = []

  note(what: string): void {
    this.#kept = [...this.#kept, { at: new Date().toISOString(), what }].slice(-KEPT)
  }

  /** The oldest first. */
  get recent(): readonly Trouble[] {
    return this.#kept
  }
}
