/** The commands `tsnet egress …`, with their arguments and options. */

import { addListOptions, type Command } from '../command.ts'
import type { ListOptions } from '../listing/listing.ts'
import type { Terminal } from '../terminal.ts'

export function addEgress(program: Command, terminal: Terminal): void {
  const group = program
    .command('egress')
    .description('say whom a container may reach, whom it reached, and whom it tried to')
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
}
