/**
 * One container on two networks that are given the same list of ports, as podman does, and a client that asks
 * for them all the time.
 */

import { setTimeout as after } from 'node:timers/promises'
import type { Namespace } from 'tsnet/lab'
import { NoAnswer } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import {
  addNetworkList,
  type Call,
  checkNetworkList,
  deleteNetworkList,
  type Execute,
  type NetworkList,
  type Result,
} from './libcni.ts'
import { NO_DAEMON } from './no-daemon.ts'
import { installPlugins, pluginsOf } from './plugins.ts'
import type { Scene } from './scene.ts'
import { ALL } from './stock.ts'

/** `tsnet`, or `chain`: bridge, portmap and firewall, all of them our drop-ins. */
export type Kind = `${'tsnet' | 'chain'}/${NatBackend}`

/** What chains leave as the reference's do. */
export const KEPT =
  /br[12]\b|cni_plugins_masquerade|forward|accept_redirects|\/run\/tsnet\/(control|call|daemon)|^process |^socket /

export const PORTS = [
  { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
  { hostPort: 8053, containerPort: 80, protocol: 'udp' },
]

/**
 * The n-th network. Its default route comes after those of networks with smaller numbers, but in versions
 * before 1.1.0, which know no such order.
 */
export function listOf(kind: Kind, n: number, cniVersion = '1.1.0'): NetworkList {
  const [type, backend] = kind.split('/') as ['tsnet' | 'chain', NatBackend]
  const bridge = {
    bridge: `br${n}`,
    isGateway: true,
    ipMasq: true,
    ipMasqBackend: backend,
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: `10.${n}.0.0/16` }]],
      routes: [{ dst: '0.0.0.0/0', ...(cniVersion === '1.1.0' && { priority: n }) }],
    },
  }
  const capabilities = { portMappings: true }
  return {
    cniVersion,
    name: `net${n}`,
    plugins:
      type === 'tsnet'
        ? // Of a plugin that does not know `ips`, podman 4 forgets what else it knows.
          [{ type, capabilities: { ...capabilities, ips: true }, ...bridge }]
        : [
            { type: 'bridge', ...bridge },
            { type: 'portmap', capabilities, backend, snat: true },
            { type: 'firewall', backend: 'iptables' },
          ],
  }
}

/** A container's way onto one network and off it again. */
export class Joining {
  readonly #scene: Scene
  readonly #list: NetworkList
  readonly #call: Call
  #result: Result | undefined

  constructor(scene: Scene, kind: Kind, n: number, container: Namespace, more: Partial<Call> = {}) {
    this.#scene = scene
    this.#list = listOf(kind, n)
    const { name, path } = container
    const capabilities = { portMappings: PORTS }
    this.#call = { containerId: name, netns: path, ifname: `eth${n}`, capabilities, ...more }
  }

  async add(execute = pluginsOf(this.#scene.host)): Promise<void> {
    this.#result = await addNetworkList(this.#list, this.#call, execute)
  }

  async check(): Promise<void> {
    if (this.#result === undefined) throw new Error('not attached')
    await checkNetworkList(this.#list, this.#call, this.#result, pluginsOf(this.#scene.host))
  }

  /** As a runtime that has forgotten everything else, and whose container may be gone. */
  deleteAgain(): Promise<void> {
    return deleteNetworkList(this.#list, { ...this.#call, netns: '' }, undefined, pluginsOf(this.#scene.host))
  }

  delete(execute = pluginsOf(this.#scene.host)): Promise<void> {
    return deleteNetworkList(this.#list, this.#call, this.#result, execute)
  }
}

/** Runs plugins of a host, and kills the one that runs after so many milliseconds. */
export function killedAfter({ host }: Scene, ms: number): Execute {
  const until = performance.now() + ms
  return async (type, environment, stdin) => {
    const env = { ...NO_DAEMON, ...environment, CNI_PATH: '/opt/cni/bin' }
    const running = host.start(`/opt/cni/bin/${type}`, { env, stdin })
    await Promise.race([running.finished, after(Math.max(until - performance.now(), 0))])
    await running.stop('SIGKILL')
    return running.finished
  }
}

/** A host that has our drop-ins. */
export async function prepare(scene: Scene): Promise<void> {
  await installPlugins(scene.host, ALL)
}

/** Asks again and again. `end` tells how often somebody answered, and why nobody did. */
export function keepAsking(ask: () => Promise<unknown>) {
  let going = true
  const failures: string[] = []
  let count = 0
  const asking = (async () => {
    while (going) {
      try {
        await ask()
        count++
      } catch (thrown) {
        failures.push(thrown instanceof NoAnswer ? `${thrown.code}` : String(thrown))
      }
    }
  })()
  return {
    count: () => count,
    async end(): Promise<string[]> {
      going = false
      await asking
      return failures
    },
  }
}
