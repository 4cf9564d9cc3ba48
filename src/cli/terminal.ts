/**
 * Where the command talks to: a terminal with colours and a line that can be written over, or a pipe that
 * gets plain lines.
 */

import type { Asker } from '../control/client.ts'

/** The part of a terminal that is used, so that tests can stand in for it. */
export interface Terminal {
  out(text: string): void
  error(text: string): void
  /** Somebody looks at what goes `out`: colours, and progress on one line. */
  lively: boolean
  /** The same of errors, which may go elsewhere. */
  livelyErrors: boolean
  /** How many letters a line of what goes `out` has room for; absent: nobody looks at it. */
  columns?: number
  /** The command is done by the daemon itself, for somebody else; here is what it says of itself. */
  daemon?: Asker
}

interface Streams {
  stdout: Stream
  stderr: Stream
  env: Record<string, string | undefined>
}

interface Stream {
  isTTY?: boolean
  columns?: number
  write(text: string): unknown
}

/** NO_COLOR and a dumb terminal are respected. */
export function terminalOf({ stdout, stderr, env }: Streams): Terminal {
  const isLively = ({ isTTY }: { isTTY?: boolean }) => isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
  return {
    out: text => void stdout.write(text),
    error: text => void stderr.write(text),
    lively: isLively(stdout),
    livelyErrors: isLively(stderr),
    ...(stdout.isTTY === true && stdout.columns ? { columns: stdout.columns } : {}),
  }
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }

/** The text in a colour, where there are colours. */
export const paint = (lively: boolean, colour: keyof typeof CODES, text: string): string =>
  lively ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text

/** After this time somebody who waits wants to know what for. */
const PATIENCE_MS = 1000

/**
 * Does something and says so, with the time it took: at once on a terminal; elsewhere when it is done, or
 * when it takes longer than a second.
 */
export async function step<T>(
  terminal: Terminal,
  what: string,
  work: () => T | Promise<T>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const started = performance.now()
  if (terminal.lively) terminal.out(`  ${what} …`)
  const timer = setTimeout(() => {
    if (!terminal.lively) terminal.out(`  ${what} …\n`)
  }, patienceMs)
  try {
    const result = await work()
    const took = `${Math.ceil(performance.now() - started)} ms`
    const over = terminal.lively ? '\r\u001b[K' : ''
    terminal.out(
      `${over}${paint(terminal.lively, 'green', '✓')} ${what} ${paint(terminal.lively, 'dim', `(${took})`)}\n`,
    )
    return result
  } catch (thrown) {
    terminal.out(`${terminal.lively ? '\r\u001b[K' : ''}${paint(terminal.lively, 'red', '✗')} ${what}\n`)
    throw thrown
  } finally {
    clearTimeout(timer)
  }
}
