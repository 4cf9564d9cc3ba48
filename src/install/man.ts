/** Manual pages, in man(7): one of the command, and one of each subcommand. */

import type { CommandText } from './command-text.ts'

/** `tsnet.1`, `tsnet-publish.1`, … */
export function manPages(
  commands: readonly CommandText[],
  version: string,
): { name: string; text: string }[] {
  const pages = commands.map(command => ({ name: `tsnet-${command.name}.1`, text: pageOf(command, version) }))
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
        `.BR tsnet\\-${plain(name)} (1)`,
        roman(description),
      ]),
    ),
    ...section(
      'EXIT STATUS',
      ...['.TP', '0', 'done', '.TP', '1', 'it failed', '.TP', '2', 'it was called wrongly'],
    ),
  ]
  return [{ name: 'tsnet.1', text: `${main.join('\n')}\n` }, ...pages]
}

function pageOf(
  { name, description, usage, arguments: words, options }: CommandText,
  version: string,
): string {
  const items = (list: { label: string; description: string }[]) =>
    list.flatMap(({ label, description }) => ['.TP', `.B ${plain(label)}`, roman(description)])
  const lines = [
    ...head(`tsnet-${name}`, description, version),
    ...section('SYNOPSIS', `.B tsnet ${plain(name)}`, roman(usage)),
    ...(words.length === 0
      ? []
      : section('ARGUMENTS', ...items(words.map(({ name, description }) => ({ label: name, description }))))),
    ...(options.length === 0
      ? []
      : section(
          'OPTIONS',
          ...items(options.map(({ flags, description }) => ({ label: flags, description }))),
        )),
    ...section('SEE ALSO', '.BR tsnet (1)'),
  ]
  return `${lines.join('\n')}\n`
}

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
