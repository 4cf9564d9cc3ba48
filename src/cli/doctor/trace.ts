/** `tsnet trace`. */

import { askedOf } from '../../doctor/trace/asked.ts'
import { type Step, trace } from '../../doctor/trace/trace.ts'
import { indented } from '../../model/text/text.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import { Told } from '../outcome.ts'
import { paint, type Terminal } from '../terminal.ts'

/**
 * Sends one packet and prints its way.
 * @throws Told where it came to nobody
 */
export async function tracePort(
  terminal: Terminal,
  word: string,
  { from, json }: { from?: string | undefined; json: boolean },
): Promise<void> {
  requireRunDirectory()
  const { sent, steps, end } = await trace(askedOf(word, from))
  if (json) terminal.out(`${JSON.stringify({ sent, steps, end })}\n`)
  else {
    const mark = paint(terminal.lively, end.reached ? 'green' : 'red', end.reached ? '✓' : '✗')
    const { columns } = terminal
    const lines = [
      indented('', sent, columns),
      ...steps.map(step => indented(...line(step), columns)),
      indented(`${mark} `, end.what, columns),
    ]
    terminal.out(`${lines.join('\n')}\n`)
  }
  if (!end.reached) throw new Told()
}

const WIDTH = 'postrouting'.length

function line({ hook, kind, what, verdict }: Step): [begin: string, said: string] {
  const isMove = kind === 'enters' || kind === 'leaves'
  const said = isMove ? `${kind}: ${what}` : verdict === undefined ? what : `${what} → ${verdict}`
  return [`  ${hook.padEnd(WIDTH)}  `, said]
}
