/** What is published, and who serves it. */

import type { PublishWords } from '../../model/publication/request.ts'
import { addDoing, addListOptions, type Command, type Doing, listOf } from '../command.ts'
import type { DaemonWords } from '../daemon.ts'
import type { ListOptions } from '../listing/listing.ts'
import type { Terminal } from '../terminal.ts'

/** A whole command line. */
export type Run = (words: readonly string[], terminal: Terminal) => Promise<number>

/** With `--service` all words are ports. */
const publishedBy = (
  words: string[],
  service: string | undefined,
): Pick<PublishWords, 'ports' | 'containers'> =>
  service === undefined
    ? { ports: words.slice(0, -1), containers: words.at(-1)?.split(',') ?? [] }
    : { ports: words, containers: [] }

/** @param run does commands whose launcher hands them over to the daemon */
export function addPublishing(program: Command, terminal: Terminal, run: Run): void {
  addDoing(program.command('publish'))
    .description('publish ports of a running container on this host')
    .argument(
      '<words...>',
      'ports as docker run -p takes them (none: all that it listens on), then the container (several: web1,web2); with --service ports alone',
    )
    .option(
      '--service <name>',
      'to all containers of this name, on this host and others, as they come and go',
    )
    .option('--network <name>', 'of --service: those on this network alone')
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
    .option('--keep', 'publish it again when its container is back, also after a reboot')
    .option('--wait <time>', 'hold connections until the container listens')
    .option('--drain <time>', 'let connections finish when it ends')
    .option('--replace', 'take the port over from another container without refusing a connection')
    .option('--reverse', "a port of this host's loopback appears on the container's, for it alone")
    .option('--json', 'print what was published as JSON')
    .action(async (words: string[], given: Partial<PublishWords> & Doing & { json?: true }) => {
      const { publish } = await import('../publish.ts')
      const { json, dryRun, verbose: _, ...options } = given
      const request = { ...options, ...publishedBy(words, options.service) }
      await publish(terminal, request, { json: json === true, isDry: dryRun === true })
    })
  addDoing(program.command('unpublish'))
    .description('end publications, by host port or container')
    .argument('[words...]', 'ports and containers as they were published, host ports, or ids')
    .option('--all', 'everything that tsnet publish published')
    .option('--json', 'print what was ended as JSON')
    .action(async (words: string[], { json, all, dryRun }: Doing & { json?: true; all?: true }) => {
      const { unpublish } = await import('../publish.ts')
      const output = { json: json === true, isDry: dryRun === true }
      await unpublish(terminal, words, { ...output, all: all === true })
    })
  addListOptions(
    program
      .command('ports')
      .description('list what is published')
      .option('--all', 'by CNI and Docker too')
      .option('--watch', 'print it again when something changes, until it is ended'),
    'port=NUMBER, container=NAME, network=NAME, protocol=NAME, state=STATE or of=WHOM',
  ).action(async (options: ListOptions & { all?: true; watch?: true }) => {
    const { ports } = await import('../ports.ts')
    await ports(terminal, options)
  })
  addDoing(program.command('reconcile'), 'only say what is lacking')
    .description('put back rules, bridges and settings that others took away')
    .option('--json', 'print it as JSON')
    .action(async (options: { dryRun?: true; json?: true }) => {
      const { reconcileByHand } = await import('../reconcile.ts')
      await reconcileByHand(terminal, { json: options.json === true, isDry: options.dryRun === true })
    })
  program
    .command('daemon')
    .description('serve what is published, in the foreground')
    .option('--config <file>', 'settings')
    .option('--replace', 'take over from the daemon that runs, with its connections')
    .option('--idle <time>', 'end when nothing has been served for so long')
    .option('--metrics <where>', 'numbers for Prometheus: a path of a socket, or a loopback address and port')
    .action(async (options: DaemonWords) => {
      const { daemon } = await import('../daemon.ts')
      await daemon(terminal, options, run)
    })
}
