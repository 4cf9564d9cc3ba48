/**
 * What there is to read about the commands beside their words: examples, defaults, choices, files, variables. It stands here
 * once, and comes into `--help`, the manual pages, the completions and docs/cli-reference.md from here.
 *
 *     examples   how each command is called
 *     values     what holds without an option, and what it may be
 *     places     files and variables
 */

import type { CommandText } from '../../install/install.ts'
import { type Command, leavesOf, type Option } from '../command.ts'
import { EXAMPLES } from './examples.ts'
import { ENVIRONMENT, FILES, placesOf } from './places.ts'
import { VALUES } from './values.ts'

/** Adds it to the help of every command. */
export function addManual(program: Command): void {
  for (const { words, command } of leavesOf(program)) {
    const { defaults = {}, choices = {} } = VALUES[words] ?? {}
    command.configureHelp({
      optionDescription: ({ long, description }: Option) => {
        const [fallback, choice] = [defaults[long ?? ''], choices[long ?? '']]
        const more = [
          ...(choice === undefined ? [] : [`choices: ${choice.join(', ')}`]),
          ...(fallback === undefined ? [] : [`default: ${fallback}`]),
        ]
        return more.length === 0 ? description : `${description} (${more.join('; ')})`
      },
    })
    const lines = (EXAMPLES[words] ?? []).map(example => `  tsnet ${example.words}\n      ${example.does}`)
    if (lines.length > 0) command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`)
  }
}

/** What the commands say of themselves. */
export const describeCommands = (program: Command): CommandText[] =>
  leavesOf(program).map(({ words, command }) => {
    const { defaults = {}, choices = {}, words: kinds = [], values = {} } = VALUES[words] ?? {}
    return {
      name: words,
      description: command.description(),
      usage: command.usage(),
      arguments: command.registeredArguments.map((argument, place) => ({
        name: argument.name(),
        description: argument.description,
        isLast: argument.variadic,
        kind: kinds[place],
      })),
      options: command.options.map(({ flags, description, long, required }) => ({
        flags,
        description,
        long: long ?? '',
        takesValue: required,
        fallback: defaults[long ?? ''],
        choices: choices[long ?? ''] ?? [],
        kind: values[long ?? ''],
      })),
      examples: [...(EXAMPLES[words] ?? [])],
      files: placesOf(FILES, words),
      environment: placesOf(ENVIRONMENT, words),
    }
  })
