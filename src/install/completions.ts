/** What shells need to complete the command: its subcommands, and the options of each. */

import type { CommandText } from './command-text.ts'

const HEAD = '# Completions of tsnet, made by tsnet install.'

/** bash-completion(8): a function that fills COMPREPLY. */
export const bashCompletion = (commands: readonly CommandText[]): string => `${HEAD}
_tsnet() {
  local word=\${COMP_WORDS[COMP_CWORD]} words
  case "$COMP_CWORD:\${COMP_WORDS[1]}" in
    1:*) words='${commands.map(({ name }) => name).join(' ')} --help --version' ;;
${commands.map(({ name, options }) => `    *:${name}) words='${[...options.map(({ long }) => long), '--help'].join(' ')}' ;;`).join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _tsnet tsnet
`

/** zshcompsys(1). */
export const zshCompletion = (commands: readonly CommandText[]): string => `#compdef tsnet
${HEAD}
if (( CURRENT == 2 )); then
  local -a commands=(
${commands.map(({ name, description }) => `    ${quote(`${name}:${description}`)}`).join('\n')}
  )
  _describe command commands
  return
fi
case $words[2] in
${commands
  .map(({ name, options }) => {
    const each = options.map(({ long, description, takesValue }) =>
      quote(`${long}[${description.replace(/[[\]]/g, '\\$&')}]${takesValue ? ':value:_files' : ''}`),
    )
    return `  ${name}) shift words; (( CURRENT-- )); _arguments ${[...each, "'*::word:_files'"].join(' ')} ;;`
  })
  .join('\n')}
esac
`

/** fish's complete(1). */
export const fishCompletion = (commands: readonly CommandText[]): string =>
  `${[
    HEAD,
    ...commands.flatMap(({ name, description, options }) => [
      `complete -c tsnet -n __fish_use_subcommand -f -a ${name} -d ${quote(description)}`,
      ...options.map(
        ({ long, description, takesValue }) =>
          `complete -c tsnet -n '__fish_seen_subcommand_from ${name}' -l ${long.slice(2)}${takesValue ? ' -r' : ''} -d ${quote(description)}`,
      ),
    ]),
  ].join('\n')}\n`

const quote = (text: string): string => `'${text.replace(/'/g, `'\\''`)}'`
