/** `tsnet graph`. */

import { writeFileSync } from 'node:fs'
import { connectControl } from '../../control/client.ts'
import { buildGraph, condense, type Graph, gatherFacts, printSvg, printText } from '../../graph/graph.ts'
import { messageOf, TsnetError } from '../../model/errors.ts'
import { shownPath } from '../../model/json/shown.ts'
import { requireRunDirectory } from '../../records/run-directory.ts'
import { askOnce } from '../ask.ts'
import { paint, type Terminal } from '../terminal.ts'

export interface GraphOptions {
  json?: boolean
  /** A path; `-` is stdout. */
  svg?: string
  all?: boolean
  serve?: boolean
  /** Of the page. */
  port?: string
}

/** As many as can be looked at. */
const LIMITS = { containers: 20, ports: 30, peers: 12 }

/** Prints what there is and who talks to whom. @throws TsnetError */
export async function graph(
  terminal: Terminal,
  { json = false, svg, all = false, serve = false, port }: GraphOptions,
): Promise<void> {
  const asked = [
    ...(json ? ['--json'] : []),
    ...(svg === undefined ? [] : ['--svg']),
    ...(serve ? ['--serve'] : []),
  ]
  if (asked.length > 1)
    throw new TsnetError(
      'invalid-environment',
      `${asked.join(' and ')}: each says how to show it; give one of them`,
    )
  if (port !== undefined && !serve)
    throw new TsnetError('invalid-environment', '--port is that of the page: add --serve')
  requireRunDirectory()
  if (serve) return (await import('./serve.ts')).serve(terminal, port)
  const warn = (line: string) => terminal.error(`tsnet: warning: ${line}\n`)
  const whole = buildGraph(await askOnce(terminal, connectControl, client => gatherFacts(client, warn)))
  if (json) {
    terminal.out(`${JSON.stringify([...whole.nodes, ...whole.edges])}\n`)
    return
  }
  const shown = all ? whole : condense(whole, LIMITS)
  if (svg === undefined) print(terminal, shown)
  else if (svg === '-') terminal.out(printSvg(shown))
  else write(svg, printSvg(shown))
}

function print(terminal: Terminal, shown: Graph): void {
  const { columns, lively } = terminal
  const emphasise = (text: string) => paint(lively, 'bold', text)
  terminal.out(printText(shown, { emphasise, ...(columns !== undefined && { columns }) }))
}

function write(path: string, document: string): void {
  try {
    writeFileSync(path, document)
  } catch (cause) {
    throw new TsnetError('io', `--svg: cannot write ${shownPath(path)}: ${messageOf(cause)}`, { cause })
  }
}
