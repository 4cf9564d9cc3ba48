/** The commands `tsnet egress …`, with their arguments and options. */

import { addDoing, addListOptions, type Command, type Doing } from '../command.ts'
import type { ListOptions } from '../listing/listing.ts'
import type { Terminal } from '../terminal.ts'
import type { SetOptions } from './set.ts'

export function addEgress(program: Command, terminal: Terminal): void {
  const group = program
    .command('egress')
    .description('say or change whom a container may reach, and say whom it reached, and tried to')
  addListOptions(
    group
      .command('ls', { isDefault: true })
      .description('list what a container may reach with how often it did, and what was denied')
      .argument('<container>', 'as publish takes it, or as its network calls it'),
    'outcome=OUTCOME, used=yes or no, network=NAME or interface=NAME',
  ).action(async (word: string, options: ListOptions) => {
    const { egress } = await import('./egress.ts')
    await egress(terminal, word, options)
  })
  group
    .command('learn')
    .description('watch what a container reaches, and print the list that it would need')
    .argument('<container>', 'as publish takes it, or as its network calls it')
    .option('--for <time>', 'how long')
    .option('--json', 'print it as JSON, as one list')
    .action(async (word: string, options: { for?: string; json?: true }) => {
      const { learn } = await import('./learn.ts')
      await learn(terminal, word, { until: options.for, json: options.json === true })
    })
  addDoing(group.command('set'))
    .description('give a container that lives another list of whom it may reach')
    .argument('<container>', 'as publish takes it, or as its network calls it')
    .argument('[entries...]', 'whom it may reach; or deny for nobody, open for everybody')
    .option('--deny', 'nobody')
    .option('--open', 'everybody')
    .option('--network <name>', 'where it is on several')
    .option('--interface <name>', 'where it has several')
    .option('--conf-dir <folder>', 'where network lists are')
    .option('--json', 'print it as JSON')
    .action(async (word: string, entries: string[], options: SetOptions & Doing) => {
      const { set } = await import('./set.ts')
      await set(terminal, word, entries, options)
    })
}
