/**
 * The command, for people; runtimes call the same executable with CNI_COMMAND set, see cni/.
 *
 *     tsnet publish 8080:80 web    a port of any running container on the host
 *     tsnet unpublish 8080         and off it again
 *     tsnet ports                  what is published
 *     tsnet ps                     who is on which network
 *     tsnet inspect web            all about a container, a port or a network
 *     tsnet gc                     removes what is left of containers that are no more
 *     tsnet resolve web            a container's addresses, by its name
 *     tsnet daemon                 serves what is published
 *     tsnet reconcile              puts back what others took away of all that
 *     tsnet doctor 8080            what is wrong between clients and an application, and what to do
 *     tsnet trace 8080             follows one real packet to a port, and says where it stops
 *     tsnet egress web             whom a container may reach, reached, and was denied; set, learn
 *     tsnet graph                  who is where, and who talks to whom
 *     tsnet events                 what happens, as it happens
 *     tsnet top                    what goes through ports and to containers, live
 *     tsnet network create front   makes a network that any runtime can name
 *     tsnet check LIST             says what is wrong with a network list
 *     tsnet attach front web       puts a container that exists on a network
 *     tsnet detach front web       and takes it off again
 *     tsnet oci-hook               does both for containers of plain runc and crun
 *     tsnet demo                   shows what tsnet does, in a sandbox
 *
 * Exit codes: 0 done, 1 it failed, 2 it was called wrongly. What was asked for goes to stdout, errors to
 * stderr; `--json` makes stdout one JSON document, an error included.
 *
 * Their words and options are in commands/, by group, examples and defaults in manual/; what a command does is a file of
 * its own, loaded when it is called.
 */

import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { hearChanges } from '../model/surroundings.ts'
import { VERSION } from '../model/version.ts'
import { Command, CommanderError, type Doing, leavesOf, wordsOf } from './command.ts'
import { addCommands } from './commands/commands.ts'
import type { InstallOptions } from './install/install.ts'
import { addManual, describeCommands } from './manual/manual.ts'
import { Told } from './outcome.ts'
import { paint, type Terminal } from './terminal.ts'

export type ExitCode = 0 | 1 | 2

/** Runs the command line. Whatever happens, it resolves. */
export async function run(
  args: readonly string[],
  terminal: Terminal,
  uid = process.getuid?.(),
): Promise<ExitCode> {
  if (args[0] === '__complete') {
    const { printWords } = await import('./words.ts')
    await printWords(terminal, args[1] ?? '')
    return 0
  }
  try {
    const program = commands(terminal)
    program.hook('preAction', (_, command) => {
      needRoot(command, uid)
      if (command.opts<Doing>().verbose) hearChanges(change => terminal.error(`[#] ${change}\n`))
    })
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (thrown) {
    // Help and version are commander's successes, everything else of its own a wrong call that it explained.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
    if (thrown instanceof Told) return 1
    report(thrown, args.includes('--json'), terminal)
    return hasCode(thrown, 'invalid-environment') ? 2 : 1
  }
}

/** Every command with its arguments and options. */
export function commands(terminal: Terminal): Command {
  const program = new Command('tsnet')
    .description('Puts containers on networks and their ports on the host.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.error,
      outputError: (text, write) => write(`tsnet: ${inOurWords(text.replace(/^error: /, ''))}`),
    })
    .showHelpAfterError('(tsnet --help lists the commands)')
  program
    .command('demo')
    .description('show what tsnet does, in a sandbox that touches nothing of this machine')
    .option('--json', 'print what happened as JSON')
    .action(async (options: { json?: true }) => {
      const { demo } = await import('./demo.ts')
      await demo(terminal, { json: options.json === true })
    })
  addCommands(program, terminal, run, () => describeCommands(program))
  addManual(program)
  for (const { words, command } of leavesOf(program))
    command.showHelpAfterError(`(tsnet ${words} --help lists its options)`)
  return program
}

/** Which networks there are, and what is wrong with them, their files tell everybody. */
const OF_EVERYBODY = ['network ls', 'check']

/** @throws TsnetError `missing` */
function needRoot(command: Command, uid: number | undefined): void {
  const { root, dryRun } = command.opts<InstallOptions>()
  // What the kernel holds, only root sees.
  const isOfFiles = dryRun === true && ['install', 'uninstall'].includes(command.name())
  const words = wordsOf(command)
  if (uid === 0 || root !== undefined || isOfFiles || OF_EVERYBODY.includes(words)) return
  const [first, ...others] = command.parent?.args ?? []
  // What a group does by itself need not be said.
  const given = first === command.name() || first === undefined ? others : [first, ...others]
  const line = ['sudo', 'tsnet', words, ...given].join(' ')
  throw new TsnetError('missing', `tsnet ${words} needs root: ${line}`)
}

/** dockerd's command has an option where ours has words. */
const inOurWords = (text: string): string =>
  /^unknown option '(-p|--publish)/.test(text)
    ? `${text.trimEnd()}: ports are words of their own, before the container: tsnet publish 8080:80 web\n`
    : text

function report(thrown: unknown, json: boolean, terminal: Terminal): void {
  const message = messageOf(thrown)
  const known = thrown instanceof TsnetError ? thrown : undefined
  if (json) {
    const error = {
      code: known?.code ?? 'internal',
      message,
      ...(known?.details && { details: known.details }),
    }
    terminal.out(`${JSON.stringify({ error }, null, 2)}\n`)
    return
  }
  terminal.error(`${paint(terminal.livelyErrors, 'red', 'tsnet:')} ${message}\n`)
  if (known?.details !== undefined) terminal.error(`${known.details}\n`)
  // Not foreseen, so a fault of ours: say where.
  if (known === undefined && thrown instanceof Error) terminal.error(`${thrown.stack}\n`)
}
