/** The facts of this host: of files, the kernel, the daemon where one runs, and runtimes that answer. */

import type { ControlClient } from '../control/client.ts'
import { listConnections } from '../nat/nat.ts'
import { hostOf, listAttached, otherNetworks, toldAttached } from '../networks/networks.ts'
import type { HeldPort } from '../publish/attachment-ports.ts'
import { type ListedPort, listOthers, listPublished, publishedHere } from '../publish/list.ts'
import type { Served } from '../publish/publish.ts'
import { lookAtHost } from './host.ts'
import type { Facts } from './model.ts'

/**
 * @param client absent: no daemon runs, and nothing is counted by one
 * @param warn hears of a runtime that does not answer
 */
export async function gatherFacts(
  client: Pick<ControlClient, 'ask'> | undefined,
  warn: (line: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Facts> {
  // To read thousands of records takes many times as long as to be told what they say.
  const attached = (await toldAttached(client)) ?? listAttached()
  return {
    ...lookAtHost(uniqueByName(otherNetworks(hostOf(env)))),
    attached,
    ports: await portsOf(client, warn),
    connections: listConnections(),
  }
}

async function portsOf(
  client: Pick<ControlClient, 'ask'> | undefined,
  warn: (line: string) => void,
): Promise<ListedPort[]> {
  const all = client === undefined ? publishedHere() : ((await client.ask('ports')) as Served[])
  // What appears in a container is no port of this host.
  const published = all.filter(({ reverse }) => !reverse)
  const held = ((await client?.ask('held')) ?? []) as HeldPort[]
  const others = await listOthers(held, warn)
  return [...listPublished(published, client !== undefined), ...others].sort(
    (a, b) => a.hostPort - b.hostPort || (a.id < b.id ? -1 : 1),
  )
}

/** What a runtime means by a name is the first list of it. */
const uniqueByName = <T extends { name: string }>(lists: readonly T[]): T[] =>
  [...new Map(lists.toReversed().map(list => [list.name, list])).values()].reverse()
