/**
 * What shells need to complete the command: its subcommands, the options of each, what an option may be given, and where
 * a word is a network, a container or a port, those that there are: the command itself is asked (`tsnet __complete`).
 */

import type { CommandText, OptionText } from './command-text.ts'

const HEAD = '# Completions of tsnet, made by tsnet install.'

/** Prints the words of a kind, a line each; never fails. */
const asked = (kind: string): string => `tsnet __complete ${kind} 2>/dev/null`

/** A word of the command line, and what may follow it. */
interface Level {
  /** `network`, or empty: the first word. */
  group: string
  choices: { word: string; description: string }[]
}

/** The first word, then that of each group. */
function levelsOf(commands: readonly CommandText[]): Level[] {
  const groups = [
    ...new Set(commands.flatMap(({ name }) => (name.includes(' ') ? [name.split(' ')[0] ?? ''] : []))),
  ]
  const plain = commands.filter(({ name }) => !name.includes(' '))
  const inGroup = (group: string) => commands.filter(({ name }) => name.startsWith(`${group} `))
  return [
    {
      group: '',
      choices: [
        ...plain.map(({ name, description }) => ({ word: name, description })),
        ...groups.map(word => ({
          word,
          description: inGroup(word)
            .map(({ name }) => name.slice(word.length + 1))
            .join(', '),
        })),
      ],
    },
    ...groups.map(group => ({
      group,
      choices: inGroup(group).map(({ name, description }) => ({
        word: name.slice(group.length + 1),
        description,
      })),
    })),
  ]
}

const wordsOf = (options: readonly OptionText[]): string =>
  [...options.map(({ long }) => long), '--help'].join(' ')

/** Options as they are written, those that a value follows. */
const withValue = (options: readonly OptionText[]): OptionText[] =>
  options.filter(({ takesValue }) => takesValue)

const writtenAs = ({ flags }: OptionText): string => flags.match(/--?[\w-]+/g)?.join('|') ?? ''

/** bash-completion(8): a function that fills COMPREPLY. Where it stays empty, files are offered. */
export const bashCompletion = (commands: readonly CommandText[]): string => `${HEAD}
_tsnet() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words= valued= first=2 place=0 i
  case "$COMP_CWORD:\${COMP_WORDS[1]} \${COMP_WORDS[2]}" in
${levelsOf(commands)
  .map(({ group, choices }) => {
    const words = choices.map(({ word }) => word).join(' ')
    return group === ''
      ? `    1:*) words='${words} --help --version' ;;`
      : `    2:"${group} "*) words='${words}' ;;`
  })
  .join('\n')}
${commands.map(bashOf).join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
# Which word of the command it is, without options and their values.
_tsnet_place() {
  for ((i = first; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      -*) [[ " $valued " != *" \${COMP_WORDS[i]} "* ]] || i=$((i + 1)) ;;
      *) place=$((place + 1)) ;;
    esac
  done
}
complete -o default -F _tsnet tsnet
`

function bashOf({ name, options, arguments: words }: CommandText): string {
  const isGrouped = name.includes(' ')
  const valued = withValue(options)
  const values = valued.map(option => {
    const known = option.kind === undefined ? quote(option.choices.join(' ')) : `$(${asked(option.kind)})`
    return `        ${writtenAs(option)}) words=${known} ;;`
  })
  const kinds = words.flatMap(({ kind, isLast }, place) =>
    kind === undefined ? [] : [`          ${isLast === true ? '*' : place}) words+=" $(${asked(kind)})" ;;`],
  )
  const places = [
    `          words='${wordsOf(options)}'`,
    ...(kinds.length === 0
      ? []
      : [
          `          ${isGrouped ? 'first=3 ' : ''}valued='${valued.map(writtenAs).join(' ').replaceAll('|', ' ')}'`,
          '          _tsnet_place',
          '          case $place in',
          ...kinds.map(line => `  ${line}`),
          '          esac',
        ]),
  ]
  return [
    `    ${isGrouped ? `*:"${name}"` : `*:"${name} "*`})`,
    '      case "$before" in',
    ...values,
    '        *)',
    ...places,
    '      esac ;;',
  ].join('\n')
}

/** zshcompsys(1). */
export function zshCompletion(commands: readonly CommandText[]): string {
  const [top, ...groups] = levelsOf(commands)
  const described = ({ choices }: Level) =>
    choices.map(({ word, description }) => `    ${quote(`${word}:${description}`)}`).join('\n')
  const argumentsOf = (command: CommandText): string => {
    const each = command.options.map(option => {
      const description = option.description.replace(/[[\]]/g, '\\$&')
      return quote(`${option.long}[${description}]${option.takesValue ? `:value:${zshValues(option)}` : ''}`)
    })
    const words = command.arguments.map((word, place) =>
      quote(`${word.isLast === true ? '*' : place + 1}:${word.name}:${zshValues(word)}`),
    )
    return `_arguments ${[...each, ...words].join(' ')}`
  }
  const plain = commands.filter(({ name }) => !name.includes(' '))
  return `#compdef tsnet
${HEAD}
if (( CURRENT == 2 )); then
  local -a commands=(
${top === undefined ? '' : described(top)}
  )
  _describe command commands
  return
fi
case $words[2] in
${[
  ...plain.map(command => `  ${command.name}) shift words; (( CURRENT-- )); ${argumentsOf(command)} ;;`),
  ...groups.map(
    level => `  ${level.group})
    if (( CURRENT == 3 )); then
      local -a commands=(
${described(level)}
      )
      _describe command commands
      return
    fi
    case $words[3] in
${commands
  .filter(({ name }) => name.startsWith(`${level.group} `))
  .map(
    command =>
      `    ${command.name.slice(level.group.length + 1)}) shift 2 words; (( CURRENT -= 2 )); ${argumentsOf(command)} ;;`,
  )
  .join('\n')}
    esac ;;`,
  ),
].join('\n')}
esac
`
}

const zshValues = ({ kind, choices = [] }: Pick<OptionText, 'kind'> & Partial<OptionText>): string => {
  if (kind !== undefined) return `{compadd -- \${(f)"$(${asked(kind)})"}}`
  return choices.length > 0 ? `(${choices.join(' ')})` : '_files'
}

/** fish's complete(1). */
export const fishCompletion = (commands: readonly CommandText[]): string =>
  `${[
    HEAD,
    ...levelsOf(commands).flatMap(({ group, choices }) =>
      choices.map(({ word, description }) => {
        const others = choices.map(each => each.word).join(' ')
        const when =
          group === ''
            ? '__fish_use_subcommand'
            : `'__fish_seen_subcommand_from ${group}; and not __fish_seen_subcommand_from ${others}'`
        return `complete -c tsnet -n ${when} -f -a ${word} -d ${quote(description)}`
      }),
    ),
    ...commands.flatMap(command => {
      const { name, options } = command
      const when = name
        .split(' ')
        .map(word => `__fish_seen_subcommand_from ${word}`)
        .join('; and ')
      return [
        ...options.map(({ long, description, takesValue, choices, kind }) => {
          const known = kind === undefined ? choices.join(' ') : `(${asked(kind)})`
          const value = takesValue ? ` -r${known === '' ? '' : ` -f -a ${quote(known)}`}` : ''
          return `complete -c tsnet -n '${when}' -l ${long.slice(2)}${value} -d ${quote(description)}`
        }),
        ...[...new Set(command.arguments.flatMap(({ kind }) => kind ?? []))].map(
          kind => `complete -c tsnet -n '${when}' -f -a '(${asked(kind)})'`,
        ),
      ]
    }),
  ].join('\n')}\n`

const quote = (text: string): string => `'${text.replace(/'/g, `'\\''`)}'`
