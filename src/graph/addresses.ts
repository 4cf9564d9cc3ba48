/**
 * Whose an address is: a container's, this host's, or that of somebody outside. Of other runtimes' containers often less is
 * known: the port that led there, or that the address lies in a network of this host. Then it is the container.
 */

import { type Cidr, contains, familyOf, type Ip, ipOf, isLoopback } from '../model/address/address.ts'
import type { Facts, PortFacts } from './model.ts'

export type Whose = { kind: 'container'; containerId: string } | { kind: 'host' } | { kind: 'peer' }

type Named = PortFacts['containers'][number]

export class AddressBook {
  readonly #own: ReadonlySet<Ip>
  readonly #networks: Facts['networks']
  readonly #known = new Map<Ip, Whose>()
  readonly #ids = new Map<string, string>()
  readonly #idsByName = new Map<string, string>()
  /** Addresses within a network of which nothing else is known, and that network's name. */
  readonly strangers = new Map<Ip, string>()

  constructor({ attached, ports, own, networks }: Facts) {
    this.#own = own
    this.#networks = networks
    for (const { containerId, name, addresses } of attached) {
      this.#ids.set(containerId, containerId)
      this.#idsByName.set(name, containerId)
      for (const address of addresses) this.#known.set(ipOf(address), { kind: 'container', containerId })
    }
    for (const container of ports.flatMap(({ containers }) => containers)) {
      const containerId = this.containerIdOf(container)
      for (const address of container.addresses ?? []) this.learn(ipOf(address), containerId)
    }
  }

  /** The id by which a container is known that a port leads to: runtimes have several for one. */
  containerIdOf({ id, name, addresses = [] }: Named): string {
    const known = this.#ids.get(id)
    if (known !== undefined) return known
    const there = addresses.map(address => this.#known.get(ipOf(address))).find(each => each !== undefined)
    const found =
      there?.kind === 'container'
        ? there.containerId
        : addresses.length === 0
          ? this.#idsByName.get(name)
          : undefined
    this.#ids.set(id, found ?? id)
    return found ?? id
  }

  /** An address that is nobody's yet. */
  learn(ip: Ip, containerId: string): void {
    if (!this.#known.has(ip)) this.#known.set(ip, { kind: 'container', containerId })
  }

  whose(ip: Ip): Whose {
    const known = this.#known.get(ip)
    if (known !== undefined) return known
    const found = this.#find(ip)
    this.#known.set(ip, found)
    return found
  }

  /** True for an address of this host. */
  isOwn(ip: Ip): boolean {
    return this.#own.has(ip) || isLoopback(ip)
  }

  #find(ip: Ip): Whose {
    if (this.isOwn(ip)) return { kind: 'host' }
    const isIn = (subnet: Cidr) => familyOf(subnet) === familyOf(ip) && contains(subnet, ip)
    const network = this.#networks.find(({ subnets }) => subnets.some(isIn))
    if (network === undefined) return { kind: 'peer' }
    this.strangers.set(ip, network.name)
    return { kind: 'container', containerId: ip }
  }
}
