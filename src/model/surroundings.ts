/**
 * What an operation has from whoever asked for it, beside what it was asked: in a process that was started
 * for one call that is the process's own; in a daemon that serves many it is each caller's.
 */

export interface Surroundings {
  env: Record<string, string | undefined>
  /** Where commands start; absent: where this process is. */
  directory?: string
  /** The process that asks, so that it is known again; absent: nobody will ask. */
  caller?: string
  /** Says something to whoever reads the caller's stderr. */
  complain: (text: string) => void
  /** Hears of each change to the system, as the command that makes it; absent: nobody wants to. */
  tell?: (change: string) => void
}

const own: Surroundings = { env: process.env, complain: text => void process.stderr.write(text) }

let find: () => Surroundings | undefined = () => undefined

/** Those of the operation that is under way. */
export const surroundings = (): Surroundings => find() ?? own

/** @param look knows whose operation is under way; undefined: nobody's but this process's */
export function findSurroundings(look: typeof find): void {
  find = look
}

/** Has whoever asked for the operation that is under way hear of every change to the system. */
export const hearChanges = (tell: (change: string) => void): void => {
  surroundings().tell = tell
}

/** Says a change to whoever wants to hear of it. @param change is asked for only then */
export const tellChange = (change: () => string): void => {
  const { tell } = surroundings()
  if (tell !== undefined) tell(change())
}
