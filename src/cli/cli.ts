/**
 * The command, for people; runtimes call the same executable with CNI_COMMAND set, see cni/.
 *
 *     tsnet demo       shows what tsnet does, in a sandbox
 *
 * Exit codes: 0 done, 1 it failed, 2 it was called wrongly. What was asked for goes to stdout, errors to
 * stderr; `--json` makes stdout one JSON document, an error included.
 *
 * Each group of commands is a file of its own, loaded when it is called. The only file that knows
 * commander.
 */

import { Command, CommanderError } from 'commander'
import { messageOf, TsnetError } from '../model/errors.ts'
import { paint, type Terminal } from './terminal.ts'
import { VERSION } from './version.ts'

export type ExitCode = 0 | 1 | 2

/** Runs the command line. Whatever happens, it resolves. */
export async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    await commands(terminal).parseAsync(args, { from: 'user' })
    return 0
  } catch (thrown) {
    // Help and version are commander's successes, everything else of its own a wrong call that it explained.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
    report(thrown, args.includes('--json'), terminal)
    return 1
  }
}

function commands(terminal: Terminal): Command {
  const program = new Command('tsnet')
    .description('Puts containers on networks and their ports on the host.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.error,
      outputError: (text, write) => write(`tsnet: ${text.replace(/^error: /, '')}`),
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
  return program
}

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
  }
  terminal.error(`${paint(terminal, 'red', 'tsnet:')} ${message}\n`)
  if (known?.details !== undefined) terminal.error(`${known.details}\n`)
  // Not foreseen, so a fault of ours: say where.
  if (known === undefined && thrown instanceof Error) terminal.error(`${thrown.stack}\n`)
}
