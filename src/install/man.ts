/** Manual pages, in man(7): one of the command, and one of each subcommand. */

import type { CommandText, OptionText, Place } from './command-text.ts'

/** `tsnet.1`, `tsnet-publish.1`, … */
export function manPages(
  commands: readonly CommandText[],
  version: string,
): { name: string; text: string }[] {
  const pages = commands.map(command => ({
    name: `${pageName(command.name)}.1`,
    text: pageOf(command, version),
  }))
  const main = [
    ...head('tsnet', 'networks of containers, and their ports on the host', version),
    ...section('SYNOPSIS', '.B tsnet', roman('COMMAND [options] [words...]')),
    ...section(
      'DESCRIPTION',
      roman(
        'tsnet puts containers on networks and their ports on the host. Runtimes call it as a CNI plugin, dockerd as its userland proxy; what follows is the command for people.',
      ),
    ),
    ...section(
      'COMMANDS',
      ...commands.flatMap(({ name, description }) => [
        '.TP',
        `.BR ${plain(pageName(name))} (1)`,
        roman(description),
      ]),
    ),
    ...places('FILES', together(commands.map(({ files }) => files))),
    ...places('ENVIRONMENT', together(commands.map(({ environment }) => environment))),
    ...EXIT_STATUS,
  ]
  return [{ name: 'tsnet.1', text: `${main.join('\n')}\n` }, ...pages]
}

function pageOf(
  { name, description, usage, arguments: words, options, examples, files, environment }: CommandText,
  version: string,
): string {
  const lines = [
    ...head(pageName(name), description, version),
    ...section('SYNOPSIS', `.B tsnet ${plain(name)}`, roman(usage)),
    ...section('DESCRIPTION', roman(`${description}.`)),
    ...list(
      'ARGUMENTS',
      words.map(({ name, description }) => [name, description]),
    ),
    ...list(
      'OPTIONS',
      options.map(option => [option.flags, optionText(option)]),
    ),
    ...list(
      'EXAMPLES',
      examples.map(({ words, does }) => [`tsnet ${words}`, does]),
    ),
    ...places('FILES', files),
    ...places('ENVIRONMENT', environment),
    ...EXIT_STATUS,
    ...section('SEE ALSO', '.BR tsnet (1)'),
  ]
  return `${lines.join('\n')}\n`
}

const optionText = ({ description, choices, fallback }: OptionText): string =>
  [
    description,
    ...(choices.length === 0 ? [] : [`one of ${choices.join(', ')}`]),
    ...(fallback === undefined ? [] : [`default: ${fallback}`]),
  ].join('; ')

/** Each place once. */
const together = (of: readonly Place[][]): Place[] => [
  ...new Map(of.flat().map(place => [place.name, place])).values(),
]

const list = (title: string, items: readonly (readonly [label: string, text: string])[]): string[] =>
  items.length === 0
    ? []
    : section(title, ...items.flatMap(([label, text]) => ['.TP', `.B ${plain(label)}`, roman(text)]))

const places = (title: string, of: readonly Place[]): string[] =>
  list(
    title,
    of.map(({ name, means }) => [name, means]),
  )

/** `network create` has `tsnet-network-create`. */
const pageName = (command: string): string => `tsnet-${command.replaceAll(' ', '-')}`

const head = (name: string, description: string, version: string): string[] => [
  `.TH ${plain(name.toUpperCase())} 1 "" "tsnet ${version}"`,
  '.SH NAME',
  `${plain(name)} \\- ${roman(description)}`,
]

const section = (title: string, ...lines: string[]): string[] => [`.SH ${title}`, ...lines]

/** As roff wants it: ASCII, and dashes that can be copied into a shell. */
const plain = (text: string): string =>
  text
    .replace(/\\/g, '\\e')
    .replace(/-/g, '\\-')
    .replace(/[^\n -~]/gu, each => `\\[u${each.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`)

/** A line that is no request, whatever it begins with. */
const roman = (text: string): string => plain(text).replace(/^[.']/, '\\&$&')

const EXIT_STATUS = list('EXIT STATUS', [
  ['0', 'done'],
  ['1', 'it failed; or what was looked for is wrong'],
  ['2', 'it was called wrongly'],
])
