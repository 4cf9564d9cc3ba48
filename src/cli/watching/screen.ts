/**
 * A terminal that is written over again and again, and given back as it was: whatever ends the command, the cursor is
 * there afterwards, and what was on the screen before.
 */

export interface Screen {
  readonly columns: number
  readonly rows: number
  show(lines: readonly string[]): void
  /** Settles when somebody wants to leave: q, Ctrl-C, or the end of what is typed. */
  readonly left: Promise<void>
  /** Calls back when it has another size. */
  onResize(work: () => void): void
  close(): void
}

/** The second screen; no cursor. Then both as before. */
const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const REST_OF_LINE = '\u001b[K'
const REST = '\u001b[J'
const CTRL_C = '\u0003'

/** Of terminals that do not say. */
const [COLUMNS, ROWS] = [80, 24]

/** Undefined where there is none that can be written over. */
export function openScreen({ stdin, stdout, env }: NodeJS.Process = process): Screen | undefined {
  if (!stdout.isTTY || env.TERM === 'dumb') return undefined
  let isOpen = true
  const close = () => {
    if (!isOpen) return
    isOpen = false
    if (stdin.isTTY) stdin.setRawMode(false)
    stdin.pause()
    stdout.write(LEAVE)
  }
  const left = new Promise<void>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
    if (!stdin.isTTY) return
    stdin.setRawMode(true)
    stdin.on('data', keys => {
      const text = String(keys)
      if (text.includes('q') || text.includes(CTRL_C)) resolve()
    })
    stdin.on('end', () => resolve())
  })
  process.once('exit', close)
  stdout.write(ENTER)
  return {
    get columns() {
      return stdout.columns || COLUMNS
    },
    get rows() {
      return stdout.rows || ROWS
    },
    show: lines => {
      if (isOpen) stdout.write(`${HOME}${lines.map(line => line + REST_OF_LINE).join('\r\n')}${REST}`)
    },
    left,
    onResize: work => void stdout.on('resize', work),
    close,
  }
}
