/**
 * Steps that can be taken back.
 *
 * Every step that creates something pushes its own undo. Set-up stops at the first error and takes back
 * what it did, newest first; tear-down goes to the end and reports all that failed at once.
 *
 * An undo runs when the function that pushed it has ended, and what that one had `using` is closed by then. So
 * a socket that undo steps need belongs to the Undo (`use`), and where something is `using`, no Undo from
 * outside is spoken of (test/undo-outlives.ts).
 */

/** Something done, or taken back. What it returns is of no interest. */
export type Step = () => void | Promise<void>

export class Undo {
  #steps: { what: string; undo: Step }[] = []
  #used: Disposable[] = []

  /** Remembers how to take back what was just done. `what` names it in a report: `veth vetha1b2`. */
  push(what: string, undo: Step): void {
    this.#steps.push({ what, undo })
  }

  /** What steps need to be taken back: it is closed after the last of them, or when there is nothing to take back. */
  use<T extends Disposable>(resource: T): T {
    this.#used.push(resource)
    return resource
  }

  /** Forgets everything: the work is done and stays. */
  keep(): void {
    this.#steps = []
    this.#close()
  }

  /** Takes everything back, newest first, and returns what could not be taken back. */
  async rollback(): Promise<Error[]> {
    const failures: Error[] = []
    for (const step of this.#steps.reverse()) {
      try {
        await step.undo()
      } catch (cause) {
        failures.push(new Error(`could not take back ${step.what}`, { cause }))
      }
    }
    this.#steps = []
    this.#close()
    return failures
  }

  /** All of them, also those before one that throws. */
  #close(): void {
    const last = this.#used.pop()
    if (last === undefined) return
    try {
      last[Symbol.dispose]()
    } finally {
      this.#close()
    }
  }
}

/** Runs `work` with an Undo; when it throws, takes back what it did and throws on. */
export async function withUndo<T>(work: (undo: Undo) => Promise<T>): Promise<T> {
  const undo = new Undo()
  try {
    const result = await work(undo)
    undo.keep()
    return result
  } catch (thrown) {
    const failures = await undo.rollback()
    if (failures.length > 0) throw new AggregateError([thrown, ...failures])
    throw thrown
  }
}

/** Runs every step to the end whatever happens, then throws one AggregateError of all that failed. */
export async function everyStep(steps: Step[]): Promise<void> {
  const failures: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (thrown) {
      failures.push(thrown)
    }
  }
  throwAll(failures)
}

/** As everyStep, of things that need not wait for each other. */
export async function everyOne(works: Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(works)
  throwAll(outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason] : [])))
}

function throwAll(failures: unknown[]): void {
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw new AggregateError(failures)
}
