/** `tsnet graph --serve`. */

import { connectControl } from '../../control/client.ts'
import { buildGraph, gatherFacts } from '../../graph/graph.ts'
import { servePage } from '../../graph/page/page.ts'
import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import type { CountersReport } from '../../observe/observe.ts'
import type { Terminal } from '../terminal.ts'

/** Shows the graph in the browser until a signal ends it. @throws TsnetError */
export async function serve(terminal: Terminal, port = '0'): Promise<void> {
  const number = /^\d{1,5}$/.test(port) ? Number(port) : -1
  if (number < 0 || number > 65_535)
    throw new TsnetError('invalid-environment', `--port: ${shown(port)} is no port`)
  const warned = new Set<string>()
  const warn = (line: string) => {
    if (!warned.has(line)) terminal.error(`tsnet: warning: ${line}\n`)
    warned.add(line)
  }
  const ended = new Promise<void>(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  await using page = await servePage(number, {
    graph: async () => {
      using client = await connectControl()
      return buildGraph(await gatherFacts(client, warn))
    },
    counters: async () => {
      using client = await connectControl()
      return (await client?.ask('counters')) as CountersReport | undefined
    },
  })
  terminal.out(`${page.url}\n`)
  terminal.error('whoever has this address sees who talks to whom; Ctrl-C ends it\n')
  await ended
}
