/** The commands `tsnet network …`, with their arguments and options. */

import type { NetworkWords } from '../../networks/networks.ts'
import { addDoing, addListOptions, type Command, type Doing, listOf } from '../command.ts'
import type { ListOptions } from '../listing/listing.ts'
import type { Terminal } from '../terminal.ts'

interface Common {
  confDir?: string
  json?: true
}

/** @param confDir the option that says where lists are */
export function addNetworks(
  program: Command,
  terminal: Terminal,
  confDir: readonly [flags: string, description: string],
): void {
  const network = program
    .command('network')
    .description('make, list, look at and remove networks that any runtime can name')
  addDoing(network.command('create'))
    .description('make a network: a list where runtimes look for it')
    .argument('<name>', 'letters, digits, "_", "." and "-", a letter or digit first')
    .option('--subnet <cidr>', 'else one that is free; may be given several times', listOf)
    .option('--gateway <address>', "of its subnet; else the subnet's first", listOf)
    .option(
      '--ip-range <cidr>',
      'containers get addresses out of this part of a subnet, CIDR or FIRST-LAST',
      listOf,
    )
    .option('--ipv6', 'both families, a subnet of fd00::/8 where none is given')
    .option(
      '--internal',
      'no default route, no masquerade, no ports: containers reach one another and the host',
    )
    .option(
      '--isolate',
      "only the host reaches containers' own addresses; the default where they are masqueraded",
    )
    .option('--direct', "others may reach containers' own addresses, where they have a route")
    .option('--no-icc', 'containers reach the host and not one another')
    .option('--no-masquerade', 'containers speak to the world under their own addresses')
    .option('--layer2', 'a bridge alone: containers get no addresses')
    .option(
      '--interface-name <name>',
      'of the bridge; one that exists is adopted with what is plugged into it',
    )
    .option('--uplink <name>', 'of --layer2: an interface of this host, whose wire containers are on')
    .option('--mtu <bytes>', "else that of the host's way out")
    .option(
      '--route <route>',
      'of containers: DESTINATION[,GATEWAY[,METRIC]]; may be given several times',
      listOf,
    )
    .option('--dns <address>', 'of a name server for containers; may be given several times', listOf)
    .option('--names', "containers are told each other's names")
    .option('--ingress-rate <bits>', 'a second at most towards each container, such as 100M')
    .option('--egress-rate <bits>', 'a second at most from each container')
    .option(
      '--egress-address <address>',
      'of this host, under which containers leave; one of a family',
      listOf,
    )
    .option(
      '--egress <entry>',
      'whom containers may reach, or deny for nobody; may be given several times',
      listOf,
    )
    .option(...confDir)
    .option('--json', 'print the list with its file as JSON')
    .action(async (name: string, given: NetworkWords & Common & Doing) => {
      const { create } = await import('./network.ts')
      const { confDir, json, dryRun, verbose: _, ...words } = given
      await create(terminal, name, words, { confDir, json: json === true, isDry: dryRun === true })
    })
  addListOptions(
    network
      .command('ls')
      .description('list networks, whoever made them')
      .option(...confDir),
    'name=TEXT, plugin=TYPE or made=true',
  ).action(async (options: ListOptions & Common) => {
    const { list } = await import('./network.ts')
    await list(terminal, options)
  })
  network
    .command('inspect')
    .description('say all about networks as JSON: subnets, what is used of them, and who is attached')
    .argument('<names...>', 'names of networks')
    .option(...confDir)
    .action(async (names: string[], { confDir }: Common) => {
      const { inspect } = await import('./network.ts')
      await inspect(terminal, names, { confDir })
    })
  addDoing(network.command('rm'))
    .description('remove networks that were made by tsnet network create')
    .argument('<names...>', 'names of networks')
    .option('-f, --force', 'take off who is still on them')
    .option(...confDir)
    .option('--json', 'print the names of what was removed as JSON')
    .action(async (names: string[], { force, json, confDir, dryRun }: Common & Doing & { force?: true }) => {
      const { remove } = await import('./network.ts')
      const output = { json: json === true, isDry: dryRun === true }
      await remove(terminal, names, { ...output, force: force === true, confDir })
    })
}
