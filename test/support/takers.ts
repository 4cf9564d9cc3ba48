/**
 * Whoever takes something of ours away, and knows nothing of us; and what becomes of it with a daemon and without.
 */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import type { Found } from '../../src/network/reconcile/reconcile.ts'
import { Command } from './daemon.ts'
import { linkNames } from './kernel-links.ts'
import type { Result } from './libcni.ts'
import { linkLegacy, type Variant } from './nat-site.ts'
import { type CallOptions, Plugin, type Port } from './plugin.ts'
import { HOST, Scene } from './scene.ts'

const WITHIN_MS = 10_000
const ports: Port[] = [
  { hostPort: 8001, containerPort: 80 },
  { hostPort: 8002, containerPort: 80, protocol: 'udp' },
]

type Take = (stage: Stage) => Promise<unknown>

interface Taker {
  take: Take
  /** For whose rules it is anything; absent: for all. */
  of?: NatBackend
}

/** A host with two containers on a network of ours, one of which publishes ports. */
export class Stage {
  readonly scene: Scene
  readonly variant: Variant
  readonly tsnet: Command
  readonly front: Plugin
  readonly #results = new Map<string, Result>()
  readonly #options: Record<string, CallOptions> = { a: { ports }, b: {} }

  private constructor(scene: Scene, variant: Variant) {
    const { backend, env } = variant
    this.scene = scene
    this.variant = variant
    this.tsnet = new Command(scene.host, backend, env)
    const { config } = scene.network('front', 10, { macspoofchk: true, portIsolation: true })
    this.front = new Plugin(scene.host, backend, config, undefined, env)
  }

  static async open(t: Test, variant: Variant): Promise<Stage> {
    const scene = await Scene.open(variant.backend, 'a', 'b')
    t.teardown(() => scene.close())
    await linkLegacy(scene.host)
    await scene.remember()
    return new Stage(scene, variant)
  }

  async attach(): Promise<void> {
    for (const [name, options] of Object.entries(this.#options))
      this.#results.set(name, await this.front.add(this.scene.get(name), options))
  }

  /** Throws while anything is lacking. */
  async check(): Promise<void> {
    const checks = Object.entries(this.#options).map(([name, options]) =>
      this.front.check(this.scene.get(name), this.#results.get(name) as Result, options),
    )
    await Promise.all(checks)
  }

  async detach(): Promise<void> {
    for (const [name, options] of Object.entries(this.#options))
      await this.front.delete(this.scene.get(name), options)
  }

  /** Waits until nothing is lacking. @throws what is */
  async isWhole(): Promise<void> {
    let lacking: unknown
    const look = () =>
      this.check().then(
        () => true,
        thrown => {
          lacking = thrown
          return false
        },
      )
    await waitFor(look, { what: 'all to be there', withinMs: WITHIN_MS }).catch(() => {
      throw lacking
    })
  }
}

const sh =
  (script: string): Take =>
  ({ scene, variant }) =>
    scene.host.run('sh', '-ec', script, { env: variant.env })

/** Does something with each guard at a port, whose table is $name. */
const eachGuard = (script: string): Take =>
  sh(`nft list tables netdev | while read -r _ _ name; do ${script}\ndone`)

const port = async (scene: Scene) => (await linkNames(scene.host)).find(name => name.startsWith('veth')) ?? ''

const FOREIGN = 'a firewall that makes FORWARD drop'

/** Whoever takes something away, and for which firewalls of ours that is anything. */
const takers: Record<string, Taker> = {
  'nft flush ruleset': { take: sh('nft flush ruleset') },
  'our table deleted': { take: sh('nft delete table inet tsnet'), of: 'nftables' },
  'our table flushed': { take: sh('nft flush table inet tsnet'), of: 'nftables' },
  'the middle of a chain of ours deleted': {
    take: sh(
      `rule=$(nft -a list chain inet tsnet publish | sed -n 's/.*@proxied4 return # handle //p')
       nft delete rule inet tsnet publish handle "$rule"`,
    ),
    of: 'nftables',
  },
  'a rule of ours exchanged for one that ends alike': {
    take: sh(
      `rule=$(nft -a list chain inet tsnet unrelated | sed -n 's/.*@home4 return # handle //p')
       nft replace rule inet tsnet unrelated handle "$rule" ip saddr 192.0.2.0/24 return`,
    ),
    of: 'nftables',
  },
  'a rule added to a chain of ours': {
    take: sh('nft insert rule inet tsnet filter_forward accept'),
    of: 'nftables',
  },
  'a chain of ours at another place': {
    take: sh(
      `nft 'delete chain inet tsnet filter_forward
            add chain inet tsnet filter_forward { type filter hook input priority filter; }
            add rule inet tsnet filter_forward meta nfproto vmap @closed'`,
    ),
    of: 'nftables',
  },
  'a policy of ours': {
    take: sh('nft add chain inet tsnet mangle_prerouting "{ policy drop; }"'),
    of: 'nftables',
  },
  'our table asleep': { take: sh('nft add table inet tsnet "{ flags dormant; }"'), of: 'nftables' },
  'one set flushed': { take: sh('nft flush set inet tsnet guarded4'), of: 'nftables' },
  'one published port deleted': {
    take: sh('nft delete element inet tsnet ports4 { tcp . 8001 }'),
    of: 'nftables',
  },
  [FOREIGN]: {
    take: sh(
      'nft "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"',
    ),
    of: 'nftables',
  },
  'iptables -F in every table': {
    take: sh('for t in raw mangle filter nat; do iptables -t $t -F; ip6tables -t $t -F; done'),
    of: 'iptables',
  },
  'iptables -F and -X in every table': {
    // Between its two steps a daemon may have put rules back, and a chain that has some stays.
    take: sh('for t in raw mangle filter nat; do iptables -t $t -F; iptables -t $t -X || true; done'),
    of: 'iptables',
  },
  'iptables -t nat -F': { take: sh('iptables -t nat -F'), of: 'iptables' },
  'iptables-restore without --noflush': {
    take: sh(
      'printf "*filter\\n:FORWARD ACCEPT [0:0]\\nCOMMIT\\n*nat\\nCOMMIT\\n*raw\\nCOMMIT\\n" | iptables-restore',
    ),
    of: 'iptables',
  },
  'iptables -P FORWARD ACCEPT': {
    take: sh('iptables -P FORWARD ACCEPT'),
    of: 'iptables',
  },
  'another interface in a guard of ours': {
    take: sh('iptables-save -t raw | sed "s/! -i br-front /! -i br-frost /" | iptables-restore'),
    of: 'iptables',
  },
  'a jump of ours deleted': { take: sh('iptables -t raw -D PREROUTING -j TSNET-RAW'), of: 'iptables' },
  'the guards at ports deleted': {
    take: sh('nft list tables netdev | while read -r _ _ name; do nft delete table netdev "$name"; done'),
  },
  'a rule of a guard at a port exchanged for another': {
    take: eachGuard(
      `rule=$(nft -a list chain netdev "$name" container | sed -n 's/.*ether saddr != .* drop # handle //p')
       nft replace rule netdev "$name" container handle "$rule" ether saddr 02:00:00:00:66:66 accept`,
    ),
  },
  'a rule added to a guard at a port': {
    take: eachGuard('nft insert rule netdev "$name" container accept'),
  },
  'who else may be named in a rule of a guard at a port': {
    take: eachGuard(
      `rule=$(nft -a list chain netdev "$name" container | sed -n 's/.*ip6 saddr { .* accept # handle //p')
       nft replace rule netdev "$name" container handle "$rule" ip6 saddr '{ ::, fe80::1 }' accept`,
    ),
  },
  'the policy of the guards at ports': {
    take: eachGuard('nft add chain netdev "$name" container "{ policy accept; }"'),
  },
  'the guards at ports asleep': {
    take: eachGuard('nft add table netdev "$name" "{ flags dormant; }"'),
  },
  'sysctl turns forwarding off': {
    take: sh('sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0'),
  },
  'the address taken off the bridge': { take: sh('ip address flush dev br-front') },
  'the bridge down': { take: sh('ip link set br-front down') },
  'the bridge deleted': { take: sh('ip link delete br-front') },
  'a port taken off its bridge': {
    take: async ({ scene }) => scene.host.run('ip', 'link', 'set', await port(scene), 'nomaster'),
  },
  'a port down': {
    take: async ({ scene }) => scene.host.run('ip', 'link', 'set', await port(scene), 'down'),
  },
  'a port isolated no more': {
    take: async ({ scene }) =>
      scene.host.run('ip', 'link', 'set', await port(scene), 'type', 'bridge_slave', 'isolated', 'off'),
  },
}

const takersOf = ({ backend }: Variant): [string, Taker][] =>
  Object.entries(takers).filter(([, { of = backend }]) => of === backend)

/** A daemon that is taken from again and again puts back less and less often, so each has but some. */
const AT_ONE_DAEMON = 10

const inParts = <T>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / AT_ONE_DAEMON) }, (_, i) =>
    all.slice(i * AT_ONE_DAEMON, (i + 1) * AT_ONE_DAEMON),
  )

/** Runs all takers against one variant of a firewall. */
export function take(variant: Variant): void {
  const { name } = variant
  t.setTimeout(600_000)

  for (const some of inParts(takersOf(variant))) {
    const which = `from ${some[0]?.[0]} on`
    t.test(`${name}, ${which}: what is taken away comes back, and all goes with the last DEL`, async t => {
      const stage = await Stage.open(t, variant)
      const { scene, tsnet } = stage
      const daemon = await tsnet.daemon()
      await scene.remember()
      await stage.attach()
      for (const [what, { take }] of some) {
        await take(stage)
        await t.resolves(stage.isWhole(), what)
        await t.resolves(scene.client.ask('tcp', HOST[4], 8001), `${what}: the port answers`)
      }
      t.match(daemon.stderr, /put back /)
      t.equal((await tsnet.run('reconcile', '--dry-run')).stdout, 'nothing is lacking\n')
      await stage.detach()
      // Of the firewall that came in between.
      if (some.some(([what]) => what === FOREIGN))
        await scene.host.run('nft', 'delete', 'table', 'ip', 'filter')
      // The commands of the legacy variant leave their lock.
      t.strictSame(await scene.residue(line => !line.startsWith('file /run/xtables.lock ')), [])
      t.equal((await daemon.stop('SIGTERM')).code, 0)
    })
  }

  t.test(`${name}: without a daemon nothing comes back but by hand`, async t => {
    const stage = await Stage.open(t, variant)
    await stage.attach()
    for (const [what, { take }] of takersOf(variant)) {
      await take(stage)
      await t.rejects(stage.check(), { code: 102 }, `${what}: CHECK says so`)
      const found = async (...words: string[]): Promise<Found[]> =>
        JSON.parse((await stage.tsnet.run('reconcile', '--json', ...words)).stdout)
      const dry = await found('--dry-run')
      t.ok(dry.length > 0 && dry.every(({ outcome }) => outcome === 'found'), `${what}: it is named`)
      const mended = await found()
      t.ok(
        mended.every(({ outcome }) => outcome === 'restored'),
        `${what}: it is put back`,
      )
      await t.resolves(stage.check(), `${what}: nothing is lacking any more`)
    }
    await stage.detach()
  })
}
