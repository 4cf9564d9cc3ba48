/** A dockerd with a network of one driver, and a machine outside. */

import type { Host, World } from '../../src/lab/lab.ts'
import { Command } from '../../test/support/daemon.ts'
import { Dockerd, offerDrivers } from '../../test/support/dockerd.ts'

/** The network on which everything is done. */
export const NETWORK = 'front'
/** Of the host and of its client. */
export const HOST = '192.0.2.1'
const CLIENT = '192.0.2.2'

interface Kind {
  name: string
  /** Of `docker network create`. */
  create: readonly string[]
  isOurs: boolean
}

export const PEER: Kind = { name: 'Docker’s bridge', create: ['-d', 'bridge'], isOurs: false }
export const TSNET: Kind = { name: 'tsnet', create: ['-d', 'tsnet', '--ipam-driver', 'tsnet'], isOurs: true }

export interface Side extends Kind {
  docker: Dockerd
  host: Host
  client: Host
  /** Figures by the name of the work. */
  samples: Map<string, number[]>
  /** Network namespaces of containers that run, as paths on the host. */
  namespaces: Record<string, string>
}

/** What is measured, and what it has to be beside Docker's. */
export interface Work {
  name: string
  unit: string
  limit?: { atLeast: number } | { budget: number }
  measure(side: Side): Promise<number>
}

export async function openSide(world: World, kind: Kind): Promise<Side> {
  const word = kind.isOurs ? 'ours' : 'theirs'
  const host = await world.host(word)
  const client = await world.host(`${word}-client`)
  world.wire([host, 'lan', `${HOST}/24`], [client, 'eth0', `${CLIENT}/24`])
  if (kind.isOurs) {
    await offerDrivers(host)
    await new Command(host, 'iptables', {}, 'on').daemon()
  }
  const docker = await Dockerd.start(host)
  await docker.run('network', 'create', ...kind.create, NETWORK)
  return { ...kind, docker, host, client, samples: new Map(), namespaces: {} }
}
