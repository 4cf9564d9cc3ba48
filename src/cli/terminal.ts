/**
 * Where the command talks to: a terminal with colours and a line that can be written over, or a pipe that
 * gets plain lines.
 */

/** The part of a terminal that is used, so that tests can stand in for it. */
export interface Terminal {
  out(text: string): void
  error(text: string): void
  /** Somebody looks at it: colours, and progress on one line. */
  lively: boolean
}

type Streams = Pick<NodeJS.Process, 'stdout' | 'stderr' | 'env'>

/** NO_COLOR and a dumb terminal are respected. */
export const terminalOf = ({ stdout, stderr, env }: Streams): Terminal => ({
  out: text => void stdout.write(text),
  error: text => void stderr.write(text),
  lively: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
})

const CODES = { bold: 1, dim: 2, red: 31, green: 32, cyan: 36 }

/** The text in a colour, where there are colours. */
export const paint = (terminal: Terminal, colour: keyof typeof CODES, text: string): string =>
  terminal.lively ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text

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
    terminal.out(`${over}${paint(terminal, 'green', '✓')} ${what} ${paint(terminal, 'dim', `(${took})`)}\n`)
    return result
  } catch (thrown) {
    terminal.out(`${terminal.lively ? '\r\u001b[K' : ''}${paint(terminal, 'red', '✗')} ${what}\n`)
    throw thrown
  } finally {
    clearTimeout(timer)
  }
}
