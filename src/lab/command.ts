/**
 * Commands run by place: an `nsenter` into the namespaces of a host, with a clean environment.
 *
 * A command gets PATH, HOME and LANG and what the caller passes, nothing else: what the test process was
 * started with (NODE_OPTIONS, say) must not change what is tested.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { hasCode, TsnetError } from '../model/errors.ts'

export interface RunOptions {
  /** Beside PATH, HOME and LANG. */
  env?: Record<string, string>
  stdin?: string | Uint8Array
  /** Return a failure instead of throwing it. */
  mayFail?: boolean
  /** Killed after this time. Default 60 000. */
  withinMs?: number
  /** Working directory, as the host sees it. Default `/`. */
  cwd?: string
}

export interface Finished {
  /** 128 + the signal's number for a command that a signal ended, as shells have it. */
  code: number
  stdout: string
  stderr: string
}

/** `run('ip', 'link')` or `run('cat', { stdin: 'text' })`. */
export type Command = [...words: string[]] | [...words: string[], options: RunOptions]

/** A command ended with another code than 0. */
export class CommandError extends Error implements Finished {
  override readonly name = 'CommandError'
  /** What was run, and where; reporters that show no message of an error with a numeric code show this. */
  readonly command: string
  readonly code: number
  readonly stdout: string
  readonly stderr: string

  constructor(where: string, words: string[], finished: Finished) {
    const said = (finished.stderr.trim() || finished.stdout.trim()).slice(-2000)
    super(`${where}: ${words.join(' ')} ended with ${finished.code}${said === '' ? '' : `: ${said}`}`)
    this.command = `${where}: ${words.join(' ')}`
    this.code = finished.code
    this.stdout = finished.stdout
    this.stderr = finished.stderr
  }
}

/** A command that runs on. */
export class Running {
  readonly finished: Promise<Finished>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    this.finished = new Promise((resolve, reject) => {
      child.on('error', cause => {
        const gone = hasCode(cause, 'ENOENT')
        reject(gone ? new TsnetError('missing', `${child.spawnfile}: not found`, { cause }) : cause)
      })
      child.on('close', (code, signal) => {
        resolve({ code: code ?? 128 + signalNumber(signal), stdout: this.#stdout, stderr: this.#stderr })
      })
    })
    this.finished.catch(() => {})
  }

  /** What it has printed so far. */
  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Its process id in our own namespace, for signals; undefined once it ended. */
  get pid(): number | undefined {
    // nsenter stays as the parent, since only a child can be in another pid namespace.
    const { pid, exitCode, signalCode } = this.#child
    if (pid === undefined || exitCode !== null || signalCode !== null) return undefined
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    return children === '' ? undefined : Number(children.split(' ')[0])
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Finished> {
    const { pid } = this
    try {
      if (pid === undefined) this.#child.kill('SIGKILL')
      else process.kill(pid, signal)
    } catch (thrown) {
      if (!hasCode(thrown, 'ESRCH')) throw thrown // it has just ended by itself
    }
    return this.finished
  }
}

const SIGNALS: Record<string, number> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGPIPE: 13, SIGTERM: 15 }
const signalNumber = (signal: NodeJS.Signals | null): number => SIGNALS[signal ?? ''] ?? 127

/** Separates the words of a command from its options. */
export function splitCommand(command: Command): { words: string[]; options: RunOptions } {
  const last = command.at(-1)
  if (typeof last === 'object') return { words: command.slice(0, -1) as string[], options: last }
  return { words: command as string[], options: {} }
}

/** Administrators' commands are not on everybody's PATH. */
const SYSTEM_FOLDERS = '/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * What every command gets. Node's pipes are sockets: bash takes a stdin that is one for that of rshd(8) and reads ~/.bashrc,
 * `bash -c` too, unless another shell started it, which the level says.
 */
export function cleanEnvironment(): Record<string, string> {
  const { PATH, HOME = '/root' } = process.env
  return { PATH: PATH ? `${PATH}:${SYSTEM_FOLDERS}` : SYSTEM_FOLDERS, HOME, LANG: 'C.UTF-8', SHLVL: '1' }
}

/** Starts a command by way of another: `enter` is the nsenter with its options. */
export function startCommand(enter: string[], words: string[], options: RunOptions): Running {
  // nsenter's own --wd would lead to the machine's folder.
  const there = options.cwd === undefined ? [] : ['sh', '-c', 'cd "$0" && exec "$@"', options.cwd]
  const [program = '', ...args] = [...enter, ...there, ...words]
  const child = spawn(program, args, {
    env: { ...cleanEnvironment(), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.on('error', () => {}) // a command may end without reading what it is given
  child.stdin.end(options.stdin ?? '')
  return new Running(child)
}

/** Runs a command to its end. @throws CommandError unless it ends with 0 or `mayFail` is set */
export async function runCommand(where: string, enter: string[], command: Command): Promise<Finished> {
  const { words, options } = splitCommand(command)
  const running = startCommand(enter, words, options)
  const { withinMs = 60_000 } = options
  let late = false
  const timer = setTimeout(() => {
    late = true
    void running.stop('SIGKILL')
  }, withinMs)
  const finished = await running.finished.finally(() => clearTimeout(timer))
  if (late) throw new Error(`${where}: ${words.join(' ')} did not end within ${withinMs} ms`)
  if (finished.code !== 0 && options.mayFail !== true) throw new CommandError(where, words, finished)
  return finished
}
