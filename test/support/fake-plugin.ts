/**
 * CNI plugins for tests: scripts that write down how they were called and answer what they are told to.
 */

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A call as the plugin saw it. */
export interface SeenCall {
  command: string
  /** CNI_* variables but the command. */
  env: Record<string, string>
  stdin: Record<string, unknown>
}

export class FakePlugin {
  readonly name = 'fake-ipam'
  /** For CNI_PATH. */
  readonly folder: string
  readonly #log: string

  /**
   * @param body of a shell script; `$CNI_COMMAND` says what is asked, `$LOG` is for notes, and stdin has
   *   been read
   */
  constructor(folder: string, body: string) {
    this.folder = join(folder, 'bin')
    this.#log = join(folder, 'calls')
    mkdirSync(this.folder, { recursive: true })
    mkdirSync(this.#log, { recursive: true })
    const path = join(this.folder, this.name)
    writeFileSync(
      path,
      `#!/bin/sh
LOG='${this.#log}'
n=0
while ! mkdir "$LOG/$n" 2>/dev/null; do n=$((n + 1)); done
cat >"$LOG/$n/stdin"
env | grep '^CNI_' >"$LOG/$n/env"
${body}
`,
    )
    chmodSync(path, 0o755)
  }

  /** All calls so far. */
  get calls(): SeenCall[] {
    const calls: SeenCall[] = []
    for (let n = 0; existsSync(join(this.#log, String(n))); n++) {
      const text = (name: string) => readFileSync(join(this.#log, String(n), name), 'utf8')
      const pairs = text('env')
        .trim()
        .split('\n')
        .map(line => /^([^=]*)=(.*)$/.exec(line) ?? [])
      const { CNI_COMMAND: command = '', ...env } = Object.fromEntries(
        pairs.map(([, name, value]) => [name, value]),
      ) as Record<string, string>
      calls.push({ command, env, stdin: JSON.parse(text('stdin') || 'null') })
    }
    return calls
  }

  get commands(): string[] {
    return this.calls.map(({ command }) => command)
  }
}

/** A shell command that prints a value as JSON; no text in it may hold an apostrophe. */
export const print = (value: unknown): string => `printf '%s' '${JSON.stringify(value)}'`
