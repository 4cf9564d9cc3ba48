/** Networks, and who is on them. */

import type { AttachOptions } from '../attach.ts'
import { addDoing, addListOptions, type Command, type Doing, listOf } from '../command.ts'
import { addHosts } from '../host/commands.ts'
import type { InspectOptions } from '../inspect/inspect.ts'
import type { ListOptions } from '../listing/listing.ts'
import { addNetworks } from '../network/commands.ts'
import type { GcOptions } from '../network/gc.ts'
import type { Terminal } from '../terminal.ts'

export function addAttaching(program: Command, terminal: Terminal): void {
  const confDir = ['--conf-dir <folder>', 'where networks are, in place of /etc/cni/net.d'] as const
  addNetworks(program, terminal, confDir)
  addHosts(program, terminal)
  addListOptions(
    program.command('ps').alias('ls').description('list the containers on networks of this host'),
    'name=TEXT, id=BEGINNING, runtime=NAME, network=NAME, interface=NAME, address=ADDRESS, port=NUMBER or state=STATE',
  ).action(async (options: ListOptions) => {
    const { ps } = await import('../ps.ts')
    await ps(terminal, options)
  })
  program
    .command('inspect')
    .description('say all that is known of containers, published ports and networks')
    .argument(
      '<words...>',
      'a name, an id or its beginning, or an address; a port such as 8080 or 53/udp; a network',
    )
    .option('--type <type>', 'container, port or network, where a word could be several')
    .option(...confDir)
    .option('--format <template>', 'a line for each, such as {{.Addresses}}; or json; or a table of such')
    .option('--json', 'print them as JSON, as one list')
    .action(async (words: string[], options: InspectOptions) => {
      const { inspect } = await import('../inspect/inspect.ts')
      await inspect(terminal, words, options)
    })
  addDoing(program.command('gc'), 'only say what it is')
    .description('remove what is left of containers that are no more')
    .option(...confDir)
    .option('--json', 'print it as JSON')
    .action(async (options: GcOptions) => {
      const { gc } = await import('../network/gc.ts')
      await gc(terminal, options)
    })
  program
    .command('check')
    .description('say what is wrong with network lists, before a container needs them')
    .argument('[files...]', 'network lists; none: those where runtimes look')
    .option(...confDir)
    .option('--json', 'print what was found as JSON')
    .action(async (files: string[], options: { confDir?: string; json?: true }) => {
      const { check } = await import('../network/check.ts')
      await check(terminal, files, { confDir: options.confDir, json: options.json === true })
    })
  addDoing(program.command('attach'))
    .description('put a container that exists on a network')
    .argument('<network>', 'name of a network list')
    .argument('<container>', 'as for publish')
    .option(...confDir)
    .option('--ifname <name>', 'of the interface; else the first of eth0, eth1, … that is free')
    .option('-p, --publish <port>', 'as docker run -p takes it; may be given several times', listOf)
    .option('--ip <address>', 'ask for this address')
    .option('--alias <name>', 'another name for it on the network; may be given several times', listOf)
    .option('--egress <entry>', 'whom it may reach, or deny for nobody; may be given several times', listOf)
    .option('--json', 'print the CNI result')
    .action(async (network: string, container: string, options: AttachOptions & Doing & { json?: true }) => {
      const { attach } = await import('../attach.ts')
      const output = { json: options.json === true, isDry: options.dryRun === true }
      await attach(terminal, network, container, { ...options, ...output })
    })
  addDoing(program.command('detach'))
    .description('take a container off a network')
    .argument('<network>', 'name of a network list')
    .argument('<container>', 'as for publish; it need not run any more')
    .option(...confDir)
    .option('--ifname <name>', 'only this interface')
    .option('--json', 'print what was taken down as JSON')
    .action(async (network: string, container: string, options: AttachOptions & Doing & { json?: true }) => {
      const { detach } = await import('../attach.ts')
      const output = { json: options.json === true, isDry: options.dryRun === true }
      await detach(terminal, network, container, { ...options, ...output })
    })
  program
    .command('oci-hook')
    .description('put a container on networks by its annotations, as createRuntime and poststop hook')
    .option(...confDir)
    .action(async (options: { confDir?: string }) => {
      const { ociHook } = await import('../attach.ts')
      await ociHook(options)
    })
}
