/** The commands `tsnet host …`, with their arguments and options. */

import { addDoing, addListOptions, type Command, type Doing } from '../command.ts'
import type { ListOptions } from '../listing/listing.ts'
import type { Terminal } from '../terminal.ts'

interface Common {
  network?: string
  json?: true
}

interface Drain extends Doing {
  undo?: true
}

export function addHosts(program: Command, terminal: Terminal): void {
  const network = ['--network <name>', 'of this network; needed where a host is on several'] as const
  const host = program
    .command('host')
    .description('list, look at, drain and forget the hosts of networks over many hosts')
  addListOptions(
    host.command('ls').description('list the hosts of all networks over many hosts'),
    'network=NAME, name=TEXT, id=BEGINNING or state=STATE',
  ).action(async (options: ListOptions) => {
    const { list } = await import('./host.ts')
    await list(terminal, options)
  })
  host
    .command('inspect')
    .description('say all about a host as JSON: where it is, its prefixes, and when it was last heard of')
    .argument('<host>', 'its name, its id or the beginning of it')
    .option(...network)
    .action(async (word: string, { network }: Common) => {
      const { inspect } = await import('./host.ts')
      await inspect(terminal, word, network)
    })
  addDoing(host.command('drain'))
    .description('have a host take no new connections of services, and let those go on that are there')
    .argument('[host]', 'its name, its id or the beginning of it; else this one')
    .option(...network)
    .option('--undo', 'have it take them again')
    .option('--json', 'print what was drained as JSON')
    .action(async (word: string | undefined, { network, undo, dryRun, json }: Common & Drain) => {
      const { drain } = await import('./host.ts')
      const how = { isUndone: undo === true, isDry: dryRun === true, json: json === true }
      await drain(terminal, word, network, how)
    })
  addDoing(host.command('forget'))
    .description('give away the prefix of a host that is gone for good')
    .argument('<host>', 'its name, its id or the beginning of it')
    .option(...network)
    .option('--json', 'print what was forgotten as JSON')
    .action(async (word: string, { network, json, dryRun }: Common & Doing) => {
      const { forget } = await import('./host.ts')
      await forget(terminal, word, { network, json: json === true, isDry: dryRun === true })
    })
}
