/** What is wrong, which way a packet takes, who has a name, who may reach whom, and who talks to whom. */

import { addVerbose, type Command, listOf } from '../command.ts'
import { addEgress } from '../egress/commands.ts'
import type { GraphOptions } from '../graph/graph.ts'
import type { Terminal } from '../terminal.ts'

export function addLooking(program: Command, terminal: Terminal): void {
  addVerbose(program.command('doctor'))
    .description('find what is wrong between clients and applications, and say what to do about it')
    .argument('[of]', 'a port of this host, a network or a container; else everything')
    .option('--fix', "mend what is tsnet's own, asking first")
    .option('--yes', 'with --fix: do not ask')
    .option('--json', 'print what is wrong as JSON, as one list')
    .action(async (of: string | undefined, options: { fix?: true; yes?: true; json?: true }) => {
      const { doctor } = await import('../doctor/doctor.ts')
      const { fix, yes, json } = options
      await doctor(terminal, of, { fix: fix === true, yes: yes === true, json: json === true })
    })
  program
    .command('events')
    .description('say what happens, as it happens, until it is ended')
    .option(
      '-f, --filter <filter>',
      'event=NAME, container=NAME, network=NAME or port=NUMBER; may be given several times',
      listOf,
    )
    .option('--json', 'an object a line')
    .action(async (options: { filter?: string[]; json?: true }) => {
      const { events } = await import('../watching/events.ts')
      await events(terminal, { filter: options.filter, json: options.json === true })
    })
  program
    .command('top')
    .description('show what goes through ports and to containers, live')
    .option('--once', 'only one frame')
    .option('--interval <time>', 'between two looks')
    .option('--json', 'one frame as JSON, as one list')
    .action(async (options: { once?: true; interval?: string; json?: true }) => {
      const { top } = await import('../watching/top.ts')
      const { once, interval, json } = options
      await top(terminal, { once: once === true, interval, json: json === true })
    })
  program
    .command('trace')
    .description('send one real packet to a port of this host, and follow it through the rules')
    .argument('<port>', 'such as 8080 or 53/udp')
    .option('--from <address>', 'of this host, of a container, or of a client that is played')
    .option('--json', 'print its way as JSON')
    .action(async (port: string, options: { from?: string; json?: true }) => {
      const { tracePort } = await import('../doctor/trace.ts')
      await tracePort(terminal, port, { from: options.from, json: options.json === true })
    })
  program
    .command('resolve')
    .description("tell a container's addresses by its name, or its names by an address")
    .argument('<name>', 'as containers of its network call it, or an address')
    .option('--network <name>', 'only there')
    .option('--json', 'print it as JSON')
    .action(async (name: string, options: { network?: string; json?: true }) => {
      const { resolveName } = await import('../resolve.ts')
      await resolveName(terminal, name, { network: options.network, json: options.json === true })
    })
  addEgress(program, terminal)
  program
    .command('graph')
    .description('draw networks, containers and ports, and who talks to whom')
    .option('--svg <file>', 'as a picture; - is stdout')
    .option('--serve', 'as a page for a browser of this host, while it changes')
    .option('--port <number>', 'of the page')
    .option('--all', 'every container, port and peer, however many there are')
    .option('--json', 'print all nodes and edges as JSON, as one list')
    .action(async (options: GraphOptions) => {
      const { graph } = await import('../graph/graph.ts')
      await graph(terminal, options)
    })
}
