/**
 * Programs of a distribution that take away what is ours and know nothing of it, run on a host of the lab:
 *
 *     client 192.168.50.2 ── lan0 host ── br-front ── a 10.10.0.2, published on 8001, and b
 *                                 └ ufw, firewalld, NetworkManager, sysctl, … on files of the host's own
 */

import t from 'tap'
import { type Host, type Running, waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import type { Variant } from './nat-site.ts'
import { HOST } from './scene.ts'
import { Stage } from './takers.ts'

interface RealTaker {
  /** What runs before anything of ours is there. */
  begin: (host: Host) => Promise<unknown>
  /** Scripts, one after the other; the first also without a daemon. */
  takes: readonly string[]
  /** Succeeds as long as what is the taker's own is there. */
  theirs: string
  /** With whose rules something of ours is gone then; absent: with all. */
  gone?: readonly NatBackend[]
  /** With whose rules it is tried; absent: with all. */
  with?: NatBackend
}

/** What they write is the host's; and settings of the whole machine are nobody's to make. */
async function ownFiles(host: Host): Promise<void> {
  await host.run(
    'sh',
    '-ec',
    `mkdir -p /run/etc/upper /run/etc/work
     mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
     rm -rf /etc/sysctl.d /etc/sysctl.conf; mkdir /etc/sysctl.d`,
  )
  await host.tmpfs('/usr/lib/sysctl.d', '/var/log', '/var/lib/NetworkManager')
}

/** A private system bus, and what is on it. */
async function onBus(host: Host, service: string, isUp: string): Promise<void> {
  await host.run('mkdir', '-p', '/run/dbus')
  host.start('dbus-daemon', '--system', '--nofork', '--nopidfile', '--nosyslog')
  await succeeds(host, 'test -S /run/dbus/system_bus_socket')
  host.start('sh', '-c', service)
  await succeeds(host, isUp)
}

async function succeeds(host: Host, script: string): Promise<void> {
  const look = () => host.run('sh', '-c', script, { mayFail: true }).then(({ code }) => code === 0)
  await waitFor(look, { what: script, withinMs: 60_000 })
}

const firewalld =
  (backend: NatBackend) =>
  async (host: Host): Promise<void> => {
    // ebtables-restore 1.8.9 fails where anybody commits rules, of whatever table, while it empties its chains; without
    // the command firewalld does without.
    await host.run('rm', '-f', '/etc/alternatives/ebtables', '/etc/alternatives/ebtables-restore')
    await host.run(
      'sed',
      '-i',
      `s/^FirewallBackend=.*/FirewallBackend=${backend}/`,
      '/etc/firewalld/firewalld.conf',
    )
    await onBus(host, 'exec firewalld --nofork --nopid', 'firewall-cmd --state')
    await host.run('firewall-cmd', '--permanent', '--add-port=4242/tcp')
  }

const takers: Record<string, RealTaker> = {
  ufw: {
    begin: host => host.run('ufw', 'allow', '4242/tcp'),
    takes: ['ufw --force enable', 'ufw reload', 'ufw --force disable; ufw --force enable'],
    theirs: 'iptables -C ufw-user-input -p tcp --dport 4242 -j ACCEPT',
    gone: [],
  },
  'firewalld with nftables': {
    begin: firewalld('nftables'),
    takes: ['firewall-cmd --reload', 'firewall-cmd --complete-reload'],
    theirs: 'nft list table inet firewalld | grep -q "tcp dport 4242"',
    gone: [],
  },
  'firewalld with iptables': {
    begin: firewalld('iptables'),
    takes: ['firewall-cmd --reload', 'firewall-cmd --complete-reload'],
    theirs: 'iptables-save | grep -q -e "--dport 4242"',
    gone: ['iptables'],
  },
  NetworkManager: {
    // It takes links and addresses, whatever the rules are.
    with: 'iptables',
    begin: async host => {
      // Where /sys is read-only it does without udev.
      const service =
        'exec unshare --mount sh -c "mount -o remount,ro,bind /sys; exec NetworkManager --no-daemon"'
      await onBus(host, service, 'nmcli general status')
      const bridge = ['type', 'bridge', 'ifname', 'br-front', 'bridge.stp', 'no', 'autoconnect', 'no']
      const without = ['ipv4.method', 'disabled', 'ipv6.method', 'disabled']
      await host.run('nmcli', 'connection', 'add', 'con-name', 'taken', ...bridge, ...without)
    },
    takes: ['nmcli device set br-front managed yes; nmcli connection up taken'],
    theirs: 'nmcli connection show taken',
  },
  'sysctl --system': {
    with: 'nftables',
    begin: host =>
      host.run(
        'sh',
        '-ec',
        'printf "net.ipv4.ip_forward=0\nnet.ipv4.ip_default_ttl=65\n" >/etc/sysctl.d/10-host.conf',
      ),
    takes: ['sysctl --system'],
    theirs: 'test "$(sysctl -n net.ipv4.ip_default_ttl)" = 65',
  },
  'iptables-restore of a saved file': {
    begin: host =>
      host.run(
        'sh',
        '-ec',
        `for table in raw nat mangle; do iptables -t $table -S; done
         iptables -A INPUT -s 192.0.2.1 -j DROP; iptables-save >/etc/saved`,
      ),
    takes: ['iptables-restore /etc/saved'],
    theirs: 'iptables -C INPUT -s 192.0.2.1 -j DROP',
    gone: ['iptables'],
  },
  'the restart of nftables': {
    // The distribution's file, and a rule in it.
    begin: host =>
      host.run(
        'sed',
        '-i',
        's/type filter hook input .*/&\\n ip saddr 192.0.2.1 drop/',
        '/etc/nftables.conf',
      ),
    takes: ['nft -f /etc/nftables.conf'],
    theirs: 'nft list table inet filter | grep -q "192.0.2.1 drop"',
  },
}

/** Runs all of them against one variant of a firewall. */
export function takeReally(variant: Variant): void {
  t.setTimeout(600_000)
  for (const [what, { begin, takes, theirs, gone, with: only = variant.backend }] of Object.entries(takers)) {
    if (only !== variant.backend) continue
    t.test(`${variant.name}: ${what}: ours comes back, and what is theirs stays`, async t => {
      const stage = await Stage.open(t, variant)
      const { host, client } = stage.scene
      await ownFiles(host)
      await begin(host)
      const sh = (script: string) => host.run('sh', '-ec', script)
      const isOurs = (): Promise<boolean> =>
        client.ask('tcp', HOST[4], 8001, { withinMs: 1_000 }).then(
          () => true,
          () => false,
        )
      /** Where the packets of a client may have been lost. */
      const seen = async (daemon: Running) => ({
        lacking: await stage.check().then(() => undefined, String),
        host: (await sh('ip -d address; ip route; ip neighbour; bridge link; nft list ruleset')).stdout,
        log: daemon.stderr,
      })
      await stage.attach()
      if (gone === undefined || gone.includes(variant.backend)) {
        await sh(takes[0] ?? '')
        await t.rejects(stage.check(), { code: 102 }, 'without a daemon it is gone')
      }
      const daemon = await stage.tsnet.daemon()
      await t.resolves(stage.isWhole(), 'a daemon that starts puts it back')
      for (const take of takes) {
        await sh(take)
        await t.resolves(stage.isWhole(), `${take}: all is there`)
        await waitFor(isOurs, { what: 'the port to answer' }).then(
          () => t.pass(`${take}: the port answers`),
          async () => t.fail(`${take}: the port answers`, await seen(daemon)),
        )
        await t.resolves(sh(theirs), `${take}: what is theirs is there`)
      }
      await stage.detach()
      const { stdout } = await sh('nft list ruleset')
      t.notMatch(stdout, /tsnet:|10\.10\.|fd10:/, 'nothing of ours is left')
      await t.resolves(sh(theirs), 'what is theirs is there still')
      t.equal((await daemon.stop('SIGTERM')).code, 0)
    })
  }
}
