/**
 * A host with containers and neighbours, for tests of src/nat alone: links and addresses are made by hand.
 *
 *     client ──── lan host wan ──── outside            client and outside: 192.0.2.2, 198.51.100.2
 *                      ├─ br1 ─┬─ web        10.1.0.2
 *                      │       └─ neighbour  10.1.0.3
 *                      └─ br2 ─── stranger   10.2.0.2
 *
 * Everyone has an address of the same shape in IPv6, and answers on port 80 over TCP and UDP.
 */

import { type Host, lab, type Namespace, type Place, type World } from 'tsnet/lab'
import type { Cidr, Ip } from '../../src/model/address/address.ts'
import type { ErrorCode } from '../../src/model/errors.ts'
import type { NatBackend, NatIntent } from '../../src/model/network.ts'
import type { PortMapping } from '../../src/model/port-mapping.ts'

export const FAMILIES = [4, 6] as const
export type Family = (typeof FAMILIES)[number]

/** The port on which everyone answers. */
export const ANSWERS = 80

export const addresses = {
  client: { 4: '192.0.2.2', 6: '2001:db8:1::2' },
  lan: { 4: '192.0.2.1', 6: '2001:db8:1::1' },
  wan: { 4: '198.51.100.1', 6: '2001:db8:2::1' },
  outside: { 4: '198.51.100.2', 6: '2001:db8:2::2' },
  br1: { 4: '10.1.0.1', 6: 'fd01::1' },
  br2: { 4: '10.2.0.1', 6: 'fd02::1' },
  web: { 4: '10.1.0.2', 6: 'fd01::2' },
  neighbour: { 4: '10.1.0.3', 6: 'fd01::3' },
  stranger: { 4: '10.2.0.2', 6: 'fd02::2' },
} as const satisfies Record<string, Record<Family, string>>

type Name = keyof typeof addresses

const prefixed = (name: Name): [Cidr, Cidr] => [
  `${addresses[name][4]}/24` as Cidr,
  `${addresses[name][6]}/64` as Cidr,
]

/** How a backend is reached. */
export interface Variant {
  name: string
  backend: NatBackend
  env: Record<string, string>
  /** No tables of legacy iptables are on the host. */
  isAlone?: true
}

/** The chains of iptables in which something of ours can be. */
const BUILT_IN = {
  raw: ['PREROUTING', 'OUTPUT'],
  mangle: ['PREROUTING', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
  filter: ['FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'OUTPUT', 'POSTROUTING'],
}

const COMMANDS = ['iptables-restore', 'iptables-save', 'ip6tables-restore', 'ip6tables-save']

/** Where the host has tables of legacy iptables as well, both are asked by their commands. */
export const iptablesMixed: Variant = { name: 'iptables-nft', backend: 'iptables', env: {} }
export const iptablesNft: Variant = { ...iptablesMixed, isAlone: true }
export const iptablesLegacy: Variant = {
  name: 'iptables-legacy',
  backend: 'iptables',
  env: { PATH: '/run/legacy:/usr/sbin:/usr/bin:/sbin:/bin' },
}
export const nftables: Variant = { name: 'nftables', backend: 'nftables', env: {} }

export const variants = [iptablesNft, iptablesLegacy, nftables]

/** Gives a host the commands of legacy iptables, under the names that everybody calls, where `iptablesLegacy` looks. */
export async function linkLegacy(host: Host): Promise<void> {
  const script = `mkdir /run/legacy
    for name in iptables ip6tables ${COMMANDS.join(' ')}; do
      ln -s "/usr/sbin/$(echo "$name" | sed s/tables/tables-legacy/)" "/run/legacy/$name"
    done`
  await host.run('sh', '-c', script)
}

export interface Failure {
  code: ErrorCode | 'unexpected'
  message: string
}

export type Call = readonly [name: string, ...values: unknown[]]
export interface Result {
  value?: unknown
  error?: Failure
  ms: number
  /** Transactions that the kernel refused meanwhile. */
  refused: number
}

export class NatSite {
  readonly world: World
  readonly host: Host
  readonly client: Host
  readonly outside: Host
  readonly variant: Variant

  private constructor(world: World, host: Host, client: Host, outside: Host, variant: Variant) {
    this.world = world
    this.host = host
    this.client = client
    this.outside = outside
    this.variant = variant
  }

  static async open(variant: Variant): Promise<NatSite> {
    const world = await lab()
    const [host, client, outside] = await Promise.all([
      world.host('host'),
      world.host('client'),
      world.host('outside'),
    ])
    world.wire([host, 'lan', ...prefixed('lan')], [client, 'eth0', ...prefixed('client')])
    world.wire([host, 'wan', ...prefixed('wan')], [outside, 'eth0', ...prefixed('outside')])
    const site = new NatSite(world, host, client, outside, variant)
    for (const place of [client, outside]) answer(place)
    await site.#container('web', 'br1')
    await site.#container('neighbour', 'br1')
    await site.#container('stranger', 'br2')
    host.bridge('br1', { addresses: prefixed('br1'), ports: ['to-web', 'to-neighbour'] })
    host.bridge('br2', { addresses: prefixed('br2'), ports: ['to-stranger'] })
    await linkLegacy(host)
    await site.forwarding('1')
    return site
  }

  async #container(name: 'web' | 'neighbour' | 'stranger', bridge: 'br1' | 'br2'): Promise<void> {
    const namespace = await this.host.namespace(name)
    this.world.wire([this.host, `to-${name}`], [namespace, 'eth0', ...prefixed(name)])
    for (const family of FAMILIES) namespace.route('default', addresses[bridge][family])
    answer(namespace)
  }

  get(name: string): Namespace {
    const namespace = this.host.namespaces.find(one => one.name === name)
    if (namespace === undefined) throw new Error(`there is no container ${name}`)
    return namespace
  }

  async forwarding(value: '0' | '1'): Promise<void> {
    await this.sysctl('net/ipv4/ip_forward', value)
    await this.sysctl('net/ipv6/conf/all/forwarding', value)
  }

  async sysctl(name: string, value: string): Promise<void> {
    await this.host.run('sh', '-c', 'echo "$1" >"/proc/sys/$2"', 'sh', value, name)
  }

  /** Whether packets between ports of a bridge pass the rules as well. */
  async bridgeNetfilter(on: boolean): Promise<void> {
    for (const command of ['iptables', 'ip6tables']) {
      await this.sysctl(`net/bridge/bridge-nf-call-${command}`, on ? '1' : '0')
    }
  }

  /** The policy of FORWARD in what this variant's iptables sees; nftables looks at that of iptables-nft. */
  async policy(policy: 'ACCEPT' | 'DROP'): Promise<void> {
    const kind = this.variant.name === 'iptables-legacy' ? 'legacy' : 'nft'
    for (const family of ['', '6']) await this.host.run(`ip${family}tables-${kind}`, '-P', 'FORWARD', policy)
  }

  /** Runs operations of src/nat on the host, one after the other in one process. */
  all = (...calls: readonly Call[]): Promise<Result[]> => this.script('nat-call', [], calls)

  /** Runs operations of src/nat on the host, all at once in one process. */
  together = (...calls: readonly Call[]): Promise<Result[]> => this.script('nat-call', ['together'], calls)

  /** Runs a program of test/support on the host. @returns what it prints, as JSON */
  async script<T>(name: string, words: string[], input: unknown): Promise<T> {
    const path = new URL(`${name}.js`, import.meta.url).pathname
    const stdin = JSON.stringify(input)
    const { env } = this.variant
    const { stdout } = await this.host.run(process.execPath, path, ...words, { stdin, env })
    return JSON.parse(stdout) as T
  }

  /** Runs one operation. @throws Failure */
  async call(name: string, ...values: unknown[]): Promise<unknown> {
    const [result] = await this.all([name, ...values])
    if (result?.error !== undefined) throw Object.assign(new Error(result.error.message), result.error)
    return result?.value
  }

  install = (intent: NatIntent) => this.call('install', this.variant.backend, intent)

  withdraw = (owner: string, hint: { intent?: NatIntent; last: boolean } = { last: true }) =>
    this.call('withdraw', this.variant.backend, owner, hint)

  /** All rules of the host in both kinds of iptables and in nftables, without what counts or numbers. */
  async rules(): Promise<string> {
    const commands = [
      'nft -s list ruleset',
      ...['', '6'].flatMap(n => ['nft', 'legacy'].map(k => `ip${n}tables-${k}-save`)),
    ]
    const script = commands.map(command => `echo '== ${command}' && ${command}`).join(' && ')
    const { stdout } = await this.host.run('sh', '-c', script)
    return stdout.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '')
  }

  /** The variants of iptables that have tables on the host. */
  get kinds(): readonly ('nft' | 'legacy')[] {
    return this.variant.isAlone ? ['nft'] : ['nft', 'legacy']
  }

  /** Makes the built-in tables of iptables, which stay when once used. */
  async primeTables(): Promise<void> {
    const file = (change: '-A' | '-D'): string =>
      Object.entries(BUILT_IN)
        .map(([table, chains]) => {
          const lines = chains.map(chain => `${change} ${chain} -j RETURN\n`)
          return `*${table}\n${lines.join('')}COMMIT\n`
        })
        .join('')
    for (const command of this.kinds.flatMap(kind => [`iptables-${kind}`, `ip6tables-${kind}`])) {
      await this.host.run(`${command}-restore`, '--noflush', { stdin: file('-A') })
      await this.host.run(`${command}-restore`, '--noflush', { stdin: file('-D') })
    }
  }

  close = () => this.world.end()
}

function answer(place: Place): void {
  place.listen('tcp', ANSWERS)
  place.listen('udp', ANSWERS)
}

/** What `web` has on br1, unless said otherwise. */
export const intentOf = (changes: Partial<NatIntent> = {}): NatIntent => ({
  owner: '00000000000000a1',
  bridge: 'br1',
  addresses: prefixed('web'),
  ipMasq: true,
  guardDirect: true,
  ports: [],
  ...changes,
})

/** What `stranger` has on br2. */
export const strangerIntent = (changes: Partial<NatIntent> = {}): NatIntent =>
  intentOf({
    owner: '00000000000000b2',
    bridge: 'br2',
    addresses: prefixed('stranger'),
    ...changes,
  })

/** What `neighbour` has on br1. */
export const neighbourIntent = (changes: Partial<NatIntent> = {}): NatIntent =>
  intentOf({ owner: '00000000000000a3', addresses: prefixed('neighbour'), ...changes })

export const publish = (
  hostPort: number,
  changes: Partial<Omit<PortMapping, 'hostIp'>> & { hostIp?: string } = {},
): PortMapping => ({
  protocol: 'tcp',
  hostPort,
  containerPort: ANSWERS,
  count: 1,
  ...(changes as Partial<PortMapping>),
})

/** The same port over TCP and UDP. */
export const publishBoth = (hostPort: number, changes: Parameters<typeof publish>[1] = {}): PortMapping[] => [
  publish(hostPort, changes),
  publish(hostPort, { ...changes, protocol: 'udp' }),
]

export const ip = (text: string): Ip => text as Ip
