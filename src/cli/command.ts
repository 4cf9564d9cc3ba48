/** Commands with their arguments and options. The only file that knows commander. */

export { Command, CommanderError, type Option } from 'commander'

import type { Command } from 'commander'

/** An option that may be given several times. */
export const listOf = (value: string, earlier: string[] = []): string[] => [...earlier, value]

/** Commands that do something, those of groups by all their words: `network create`. */
export const leavesOf = (command: Command): { words: string; command: Command }[] =>
  command.commands.flatMap(each =>
    each.commands.length === 0
      ? [{ words: each.name(), command: each }]
      : leavesOf(each).map(leaf => ({ ...leaf, words: `${each.name()} ${leaf.words}` })),
  )

/** The words by which a command is called, after `tsnet`. */
export function wordsOf(command: Command): string {
  const { parent } = command
  return parent === null || parent.parent === null ? command.name() : `${wordsOf(parent)} ${command.name()}`
}

/** The options of a command that lists things. @param filters those that there are, in short */
export const addListOptions = (command: Command, filters: string): Command =>
  command
    .option('-q, --quiet', 'only what names each of them')
    .option('-f, --filter <filter>', `${filters}; may be given several times`, listOf)
    .option('--format <template>', 'a line for each, such as {{.ID}}; or json; or a table of such')
    .option('--json', 'print them as JSON')

/** Of commands that change the system. */
export interface Doing {
  dryRun?: true
  verbose?: true
}

/** What it does is done for all commands at once, see cli.ts. */
export const addVerbose = (command: Command): Command =>
  command.option('-v, --verbose', 'say each change to the system as the command that makes it')

export const addDoing = (command: Command, dryRun = 'only say what would be done'): Command =>
  addVerbose(command.option('--dry-run', dryRun))
