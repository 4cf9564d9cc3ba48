/**
 * Plugins that follow others in a chain, ours under the reference's names and the reference's own, on an
 * interface that is there already.
 */

import { resolve } from 'node:path'
import type { Host, Namespace } from 'tsnet/lab'
import { addVeth } from '../../src/netlink/link/add.ts'
import { changeLink, getLink } from '../../src/netlink/link/link.ts'
import { type Kernel, kernel } from './kernel.ts'
import { PluginError, type Result } from './libcni.ts'
import { REFERENCE } from './plugins.ts'

export type Who = 'tsnet' | 'reference'

export const both: readonly Who[] = ['tsnet', 'reference']

const FOLDERS: Record<Who, string> = { tsnet: resolve('dist/drop-in'), reference: REFERENCE }

export interface Asked {
  /** CNI_NETNS where it is not the container's. */
  netns?: string
  ifname?: string
  args?: string
  config?: Record<string, unknown>
  /** null: none. */
  prevResult?: Result | null
}

export class Chained implements AsyncDisposable {
  readonly kernel: Kernel
  readonly host: Host
  readonly web: Namespace & { nl: Kernel['nl'] }
  readonly type: string
  /** What the plugin before answered. */
  readonly before: Result

  private constructor(world: Kernel, web: Chained['web'], type: string, before: Result) {
    this.kernel = world
    this.host = world.host
    this.web = web
    this.type = type
    this.before = before
  }

  /** A host with a container `web`, whose eth0 is joined to the host's veth0. */
  static async open(type: string, ifname = 'eth0'): Promise<Chained> {
    const world = await kernel()
    const web = await world.namespace('web')
    addVeth(world.nl, { name: 'veth0', up: true, peer: { name: ifname, netnsFd: web.netns.fd } })
    changeLink(web.nl, getLink(web.nl, { name: ifname }), { up: true })
    world.host.address('veth0', '10.1.0.1/24')
    web.address(ifname, '10.1.0.2/24')
    return new Chained(world, web, type, {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'veth0' }, { name: ifname, mac: '02:00:00:00:00:ff', sandbox: web.path }],
      ips: [{ address: '10.1.0.2/24', interface: 1 }],
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kernel[Symbol.asyncDispose]()
  }

  /** @returns stdout @throws PluginError */
  async call(who: Who, command: string, asked: Asked = {}): Promise<string> {
    const { netns = this.web.path, ifname = 'eth0', args = '', config, prevResult = this.before } = asked
    const env = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'web',
      CNI_NETNS: netns,
      CNI_IFNAME: ifname,
      CNI_ARGS: args,
      CNI_PATH: FOLDERS[who],
    }
    const stdin = JSON.stringify({
      cniVersion: '1.0.0',
      name: 'front',
      type: this.type,
      ...(prevResult && { prevResult }),
      ...config,
    })
    const done = await this.host.run(`${FOLDERS[who]}/${this.type}`, { env, stdin, mayFail: true })
    if (done.code === 0) return done.stdout
    const error = JSON.parse(done.stdout) as { msg: string; code: number; details?: string }
    throw new PluginError(this.type, [error.msg, error.details].filter(Boolean).join('; '), error.code)
  }

  async add(who: Who, asked: Asked = {}): Promise<Result> {
    return JSON.parse(await this.call(who, 'ADD', asked)) as Result
  }
}
