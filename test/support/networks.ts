/** Networks by hand on a host of the lab: made, joined and looked at as a person does it. */

import { existsSync, readdirSync } from 'node:fs'
import type { Test } from 'tap'
import type { NatBackend } from '../../src/model/network.ts'
import type { NetworkDetails } from '../../src/networks/networks.ts'
import { Command } from './daemon.ts'
import { Scene } from './scene.ts'

export const FOLDER = '/etc/cni/net.d'

export interface Stage {
  scene: Scene
  tsnet: Command
  network: Command['run']
  /** As `network`, whatever it ends with. */
  attempt: Command['try']
  /** Attaches a container. @returns its addresses, IPv4 first */
  join: (network: string, container: string) => Promise<string[]>
  leave: (network: string, container: string) => Promise<unknown>
  inspect: (network: string) => Promise<NetworkDetails>
}

export async function withNetworks(t: Test, backend: NatBackend, ...containers: string[]): Promise<Stage> {
  const scene = await Scene.open(backend, ...containers)
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, backend)
  const network: Stage['network'] = (...words) => tsnet.run('network', ...words)
  return {
    scene,
    tsnet,
    network,
    attempt: (...words) => tsnet.try('network', ...words),
    join: async (name, container) => {
      const { stdout } = await tsnet.run('attach', name, `netns:${container}`)
      return (stdout.trim().split(' ').slice(3) ?? []).map(address => address.split('/')[0] ?? '')
    },
    leave: (name, container) => tsnet.run('detach', name, `netns:${container}`),
    inspect: async name =>
      (JSON.parse((await network('inspect', name)).stdout) as NetworkDetails[])[0] as NetworkDetails,
  }
}

/** What there is of lists on a host, and of what is being written. */
export const filesOf = ({ scene }: Stage): string[] =>
  existsSync(scene.host.path(FOLDER)) ? readdirSync(scene.host.path(FOLDER)).sort() : []

/** What is left on the host, but for the folders that stay: that of lists, and libcni's of results. */
export const residue = ({ scene }: Stage, isOdd = (_line: string) => true): Promise<string[]> =>
  scene.residue(line => isOdd(line) && !line.includes(FOLDER) && !line.includes('/var/lib/cni/results '))
