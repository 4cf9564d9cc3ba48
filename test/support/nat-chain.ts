/**
 * Plugins of a chain on the host of support/nat-site.ts, whose containers are attached by hand: ours from
 * dist/drop-in, and the reference's. Each call gets the result that a bridge plugin would have given.
 */

import { resolve } from 'node:path'
import type { Test } from 'tap'
import type { Result } from './libcni.ts'
import { addresses, NatSite, type Variant } from './nat-site.ts'
import { type CallOptions, Plugin } from './plugin.ts'
import { REFERENCE } from './plugins.ts'

export type Whose = 'ours' | 'theirs'

type Container = 'web' | 'neighbour' | 'stranger'

/** What the plugin bridge would have answered for a container. */
export function resultFor(name: Container, { ipv6 = true } = {}): Result {
  const own = addresses[name]
  return {
    cniVersion: '1.0.0',
    interfaces: [
      { name: name === 'stranger' ? 'br2' : 'br1' },
      { name: `to-${name}` },
      { name: 'eth0', sandbox: `/run/netns/${name}` },
    ],
    ips: [
      { address: `${own[4]}/24`, gateway: addresses.br1[4], interface: 2 },
      ...(ipv6 ? [{ address: `${own[6]}/64`, gateway: addresses.br1[6], interface: 2 }] : []),
    ],
  }
}

/** One type of plugin on one host. */
export class Chained {
  readonly site: NatSite
  readonly #plugins: Record<Whose, Plugin>

  constructor(site: NatSite, type: string, config: Record<string, unknown> = {}) {
    const { host, variant } = site
    this.site = site
    const all = { cniVersion: '1.0.0', name: 'front', type, ...config }
    this.#plugins = {
      ours: new Plugin(host, variant.backend, all, resolve(`dist/drop-in/${type}`), variant.env),
      theirs: new Plugin(host, variant.backend, all, `${REFERENCE}/${type}`, variant.env),
    }
  }

  get(whose: Whose): Plugin {
    return this.#plugins[whose]
  }

  #options(name: Container, options: CallOptions): CallOptions {
    return { prevResult: resultFor(name), ...options }
  }

  add(name: Container, options: CallOptions = {}, whose: Whose = 'ours'): Promise<Result> {
    return this.get(whose).add(this.site.get(name), this.#options(name, options))
  }

  /** @param options `prevResult: undefined` and no ports are what a runtime without a cache sends */
  delete(name: Container, options: CallOptions = {}, whose: Whose = 'ours'): Promise<void> {
    return this.get(whose).delete(this.site.get(name), this.#options(name, options))
  }

  check(name: Container, options: CallOptions = {}, whose: Whose = 'ours'): Promise<void> {
    const given = this.#options(name, options)
    return this.get(whose).check(this.site.get(name), given.prevResult ?? resultFor(name), given)
  }
}

/** A site for one test, whose iptables has been used before. */
export async function chainedSite(t: Test, variant: Variant): Promise<NatSite> {
  const site = await NatSite.open(variant)
  t.teardown(site.close)
  await site.primeTables()
  return site
}
