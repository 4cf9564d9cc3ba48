/** A scene with a network whose gateway tells names, and what tests of that share. */

import type { Test } from 'tap'
import type { NatBackend } from '../../src/model/network.ts'
import { Command } from './daemon.ts'
import type { Said } from './dns.ts'
import type { CallOptions, Plugin } from './plugin.ts'
import { CLIENT, Scene } from './scene.ts'

/** The gateways of `front` and `back`. */
export const FRONT = '10.10.0.1'
export const FRONT6 = 'fd10::1'
export const BACK = '10.20.0.1'

/** Keys of a network that tells names, and asks the client for those of others. */
export const NAMES = { names: true, dns: { nameservers: [CLIENT[4]] }, capabilities: { aliases: true } }

/** A container as its runtime calls it. */
export const named = (name: string, ...aliases: string[]): CallOptions & { env: Record<string, string> } => ({
  config: { runtimeConfig: { aliases } },
  env: { CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAME=${name}` },
})

export interface NamesScene {
  scene: Scene
  tsnet: Command
  front: Plugin
  back: Plugin
}

export async function withNames(
  t: Test,
  backend: NatBackend = 'nftables',
  ...containers: string[]
): Promise<NamesScene> {
  const scene = await Scene.open(backend, ...containers)
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, backend)
  return { scene, tsnet, front: scene.network('front', 10, NAMES), back: scene.network('back', 20, NAMES) }
}

/** The data of an answer, or what there was in place of any. */
export function dataOf(said: Said | string): unknown {
  if (typeof said === 'string') return said
  return said.code === 'NOERROR' ? said.data : said.code
}
