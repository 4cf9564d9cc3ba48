/**
 * The command, for people; runtimes call the same executable with CNI_COMMAND set, see cni/.
 *
 *     tsnet publish 8080:80 web    a port of any running container on the host
 *     tsnet unpublish 8080         and off it again
 *     tsnet ports                  what is published
 *     tsnet daemon                 serves what is published
 *     tsnet reconcile              puts back what others took away of all that
 *     tsnet attach front web       puts a container that exists on a network
 *     tsnet detach front web       and takes it off again
 *     tsnet oci-hook               does both for containers of plain runc and crun
 *     tsnet demo                   shows what tsnet does, in a sandbox
 *
 * Exit codes: 0 done, 1 it failed, 2 it was called wrongly. What was asked for goes to stdout, errors to
 * stderr; `--json` makes stdout one JSON document, an error included.
 *
 * Each group of commands is a file of its own, loaded when it is called. The only file that knows
 * commander.
 */

import { Command, CommanderError } from 'commander'
import type { CommandText } from '../install/install.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import type { PublishWords } from '../model/publication/request.ts'
import { VERSION } from '../model/version.ts'
import type { AttachOptions } from './attach.ts'
import type { InstallOptions, UninstallOptions } from './install.ts'
import { paint, type Terminal } from './terminal.ts'

export type ExitCode = 0 | 1 | 2

/** Runs the command line. Whatever happens, it resolves. */
export async function run(
  args: readonly string[],
  terminal: Terminal,
  uid = process.getuid?.(),
): Promise<ExitCode> {
  try {
    const program = commands(terminal)
    program.hook('preAction', (_, command) => needRoot(command, uid))
    await program.parseAsync(args, { from: 'user' })
    return 0
  } catch (thrown) {
    // Help and version are commander's successes, everything else of its own a wrong call that it explained.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : 2
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
  addPublishing(program, terminal)
  addAttaching(program, terminal)
  addInstalling(program, terminal)
  for (const command of program.commands)
    command.showHelpAfterError(`(tsnet ${command.name()} --help lists its options)`)
  return program
}

/** @throws TsnetError `missing` */
function needRoot(command: Command, uid: number | undefined): void {
  const { root, dryRun } = command.opts<InstallOptions>()
  // What the kernel holds, only root sees.
  const isOfFiles = dryRun === true && command.name() !== 'reconcile'
  if (uid === 0 || root !== undefined || isOfFiles) return
  const line = ['sudo', 'tsnet', command.name(), ...(command.parent?.args.slice(1) ?? [])].join(' ')
  throw new TsnetError('missing', `tsnet ${command.name()} needs root: ${line}`)
}

/** What the commands say of themselves. */
export const describeCommands = (program: Command): CommandText[] =>
  program.commands.map(command => ({
    name: command.name(),
    description: command.description(),
    usage: command.usage(),
    arguments: command.registeredArguments.map(argument => ({
      name: argument.name(),
      description: argument.description,
    })),
    options: command.options.map(({ flags, description, long, required }) => ({
      flags,
      description,
      long: long ?? '',
      takesValue: required,
    })),
  }))

/** dockerd's command has an option where ours has words. */
const inOurWords = (text: string): string =>
  /^unknown option '(-p|--publish)/.test(text)
    ? `${text.trimEnd()}: ports are words of their own, before the container: tsnet publish 8080:80 web\n`
    : text

const listOf = (value: string, earlier: string[] = []): string[] => [...earlier, value]

function addPublishing(program: Command, terminal: Terminal): void {
  program
    .command('publish')
    .description('publish ports of a running container on this host')
    .argument(
      '<words...>',
      'ports as docker run -p takes them (none: all that it listens on), then the container (several: web1,web2)',
    )
    .option(
      '--mode <mode>',
      'auto, nat (the kernel alone), proxy (the proxy alone) or redirect (loopback past the proxy)',
    )
    .option('--via <way>', 'auto, bridge, or netns: dial from inside the container')
    .option('--proxy-protocol <version>', 'v1 or v2: tell the container who the client is')
    .option('--allow <cidr>', 'only these clients; may be given several times', listOf)
    .option('--deny <cidr>', 'not these clients; may be given several times', listOf)
    .option('--max-connections <number>', 'at the same time, on each port')
    .option('--udp-sessions <number>', 'UDP clients of each port; who is idle the most makes room')
    .option('--udp-idle <time>', 'forget a UDP client that is silent for so long')
    .option('--expires <time>', 'unpublish after this time, such as 1h')
    .option('--wait <time>', 'hold connections until the container listens')
    .option('--drain <time>', 'let connections finish when it ends')
    .option('--replace', 'take the port over from another container without refusing a connection')
    .option('--json', 'print what was published as JSON')
    .action(async (words: string[], { json, ...options }: Partial<PublishWords> & { json?: true }) => {
      const { publish } = await import('./publish.ts')
      const containers = words.at(-1)?.split(',') ?? []
      await publish(terminal, { ...options, ports: words.slice(0, -1), containers }, { json: json === true })
    })
  program
    .command('unpublish')
    .description('end publications, by host port or container')
    .argument('[words...]', 'ports and containers as they were published, host ports, or ids')
    .option('--all', 'everything that tsnet publish published')
    .option('--json', 'print what was ended as JSON')
    .action(async (words: string[], options: { json?: true; all?: true }) => {
      const { unpublish } = await import('./publish.ts')
      await unpublish(terminal, words, { json: options.json === true, all: options.all === true })
    })
  program
    .command('ports')
    .description('list what is published')
    .option('--all', 'by CNI and Docker too')
    .option('--json', 'print it as JSON')
    .action(async (options: { json?: true; all?: true }) => {
      const { ports } = await import('./ports.ts')
      await ports(terminal, { json: options.json === true, all: options.all === true })
    })
  program
    .command('reconcile')
    .description('put back rules, bridges and settings that others took away')
    .option('--dry-run', 'only say what is lacking')
    .option('--json', 'print it as JSON')
    .action(async (options: { dryRun?: true; json?: true }) => {
      const { reconcileByHand } = await import('./reconcile.ts')
      await reconcileByHand(terminal, { json: options.json === true, isDry: options.dryRun === true })
    })
  program
    .command('daemon')
    .description('serve what is published, in the foreground')
    .option('--config <file>', 'settings')
    .option('--replace', 'take over from the daemon that runs, with its connections')
    .option('--idle <time>', 'end when nothing has been served for so long')
    .action(async (options: { config?: string; replace?: boolean; idle?: string }) => {
      const { daemon } = await import('./daemon.ts')
      await daemon(terminal, options, run)
    })
}

function addInstalling(program: Command, terminal: Terminal): void {
  program
    .command('install')
    .description('put tsnet where runtimes, dockerd, the init system and shells look for it')
    .option('--bin-dir <folder>', 'for the plugin')
    .option('--conf-dir <folder>', 'for a network list')
    .option('--prefix <folder>', 'for the command, its manual and its completions')
    .option('--as <names>', 'be these plugins too: bridge,portmap,… or all')
    .option('--docker', 'have dockerd use our docker-proxy')
    .option('--docker-config <file>', "dockerd's settings; implies --docker")
    .option('--init <system>', 'auto, systemd, openrc, sysv or none')
    .option('--no-enable', 'do not start the daemon, now or with the host')
    .option('--root <folder>', 'install into a folder that stands for /; nothing is started')
    .option('--dry-run', 'say what would be done')
    .option('--json', 'print the steps as JSON')
    .action(async (options: InstallOptions) => {
      const { install } = await import('./install.ts')
      await install(terminal, describeCommands(program), options)
    })
  program
    .command('uninstall')
    .description('take away what install put there, and put back what was there before')
    .option('--root <folder>', 'as it was given to install')
    .option('--dry-run', 'say what would be done')
    .option('--json', 'print the steps as JSON')
    .action(async (options: UninstallOptions) => {
      const { uninstall } = await import('./install.ts')
      await uninstall(terminal, options)
    })
}

function addAttaching(program: Command, terminal: Terminal): void {
  const confDir = ['--conf-dir <folder>', 'where networks are, in place of /etc/cni/net.d'] as const
  program
    .command('attach')
    .description('put a container that exists on a network')
    .argument('<network>', 'name of a network list')
    .argument('<container>', 'as for publish')
    .option(...confDir)
    .option('--ifname <name>', 'of the interface; else the first of eth0, eth1, … that is free')
    .option('-p, --publish <port>', 'as docker run -p takes it; may be given several times', listOf)
    .option('--ip <address>', 'ask for this address')
    .option('--json', 'print the CNI result')
    .action(async (network: string, container: string, options: AttachOptions & { json?: true }) => {
      const { attach } = await import('./attach.ts')
      await attach(terminal, network, container, { ...options, json: options.json === true })
    })
  program
    .command('detach')
    .description('take a container off a network')
    .argument('<network>', 'name of a network list')
    .argument('<container>', 'as for publish; it need not run any more')
    .option(...confDir)
    .option('--ifname <name>', 'only this interface')
    .option('--json', 'print what was taken down as JSON')
    .action(async (network: string, container: string, options: AttachOptions & { json?: true }) => {
      const { detach } = await import('./attach.ts')
      await detach(terminal, network, container, { ...options, json: options.json === true })
    })
  program
    .command('oci-hook')
    .description('put a container on networks by its annotations, as createRuntime and poststop hook')
    .option(...confDir)
    .action(async (options: { confDir?: string }) => {
      const { ociHook } = await import('./attach.ts')
      await ociHook(options)
    })
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
    return
  }
  terminal.error(`${paint(terminal.livelyErrors, 'red', 'tsnet:')} ${message}\n`)
  if (known?.details !== undefined) terminal.error(`${known.details}\n`)
  // Not foreseen, so a fault of ours: say where.
  if (known === undefined && thrown instanceof Error) terminal.error(`${thrown.stack}\n`)
}
