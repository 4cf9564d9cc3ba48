/**
 * A command that is told one thing after the other, and says when it has done each: it is started once, and
 * what it has loaded and opened serves them all.
 */

import { Child } from './child.ts'
import { type Finished, pause } from './command.ts'

/** How long a command may say nothing before its input ends: some tell all they have to say at their end. */
const SILENT_MS = 1000

export interface Question {
  text: string
  /** Stands on stdout when it is done. */
  answer: string
  /** Killed after this time. */
  withinMs: number
  /** Others want the event loop meanwhile. */
  many: () => boolean
}

/** What stands on stdout since the question, and how the command ended, if it has. */
export interface Reply {
  stdout: string
  ended?: Finished
}

export class Dialogue {
  readonly #child: Child

  /**
   * @param path absolute
   * @throws SystemError when it cannot be started
   */
  constructor(path: string, args: string[], env: string[]) {
    this.#child = new Child(path, args, env)
  }

  /** One at a time. After a reply with `ended` there is nobody to ask any more. */
  async ask({ text, answer, withinMs, many }: Question): Promise<Reply> {
    const child = this.#child
    const began = performance.now()
    child.forget()
    child.feed(text)
    for (let goesOn = true; ; ) {
      const open = child.pump()
      const { stdout } = child
      if (open && goesOn && stdout.includes(answer)) return { stdout }
      const code = open ? undefined : child.reap()
      if (code !== undefined) {
        child.close()
        return { stdout, ended: { code, stdout, stderr: child.stderr } }
      }
      const elapsedMs = performance.now() - began
      if (elapsedMs > SILENT_MS) {
        child.endInput()
        goesOn = false
      }
      if (elapsedMs > withinMs) child.kill()
      await pause(child, many())
    }
  }

  /** True once it has ended by itself. */
  hasEnded(): boolean {
    return !this.#child.pump()
  }

  /** Nobody will ask any more. */
  leave(): void {
    this.#child.leave()
  }
}
