/** Rules that drop-ins have made come back, too: those of bridge, portmap and firewall, as a chain has them. */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { BACKENDS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const EMPTY = `for table in nat filter mangle raw; do
  iptables -t $table -F; iptables -t $table -X; ip6tables -t $table -F; ip6tables -t $table -X
done`

const ruleOf = (chain: string, rule: string) =>
  `chain=$(nft list table bridge nat | sed -n 's/^.chain \\(${chain}\\) {/\\1/p')
   handle=$(nft -a list chain bridge nat "$chain" | sed -n 's/.*${rule}.* # handle //p')`

/** What changes no number of rules, of a guard of macspoofchk. */
const OF_GUARD = {
  'its MAC exchanged': `${ruleOf('cni-br-iface-.*-mac', 'return')}
    nft replace rule bridge nat "$chain" handle "$handle" ether saddr 02:00:00:00:66:66 return`,
  'its drop exchanged': `${ruleOf('cni-br-iface-.*-mac', 'drop')}
    nft replace rule bridge nat "$chain" handle "$handle" accept`,
  'its interface exchanged': `${ruleOf('PREROUTING', 'jump cni-br-iface')}
    to=$(nft list table bridge nat | sed -n 's/.*jump \\(cni-br-iface[^ ]*\\).*/\\1/p' | head -n 1)
    nft replace rule bridge nat PREROUTING handle "$handle" iifname nobody jump "$to"`,
  'its table asleep': 'nft add table bridge nat "{ flags dormant; }"',
}

for (const backend of BACKENDS) {
  t.test(`${backend}: what a chain of drop-ins has made comes back, and goes with DEL`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    const { host, client } = scene
    const tsnet = new Command(host, backend)
    const daemon = await tsnet.daemon()
    const web = scene.get('web')
    const name = 'stock'
    const plugins = [
      scene.dropIn('bridge', {
        name,
        bridge: 'cni0',
        isGateway: true,
        isDefaultGateway: true,
        ipMasq: true,
        ipMasqBackend: backend,
        macspoofchk: true,
        ipam: { type: 'host-local', ranges: [[{ subnet: '10.88.0.0/16' }]] },
      }),
      scene.dropIn('portmap', { name, backend, capabilities: { portMappings: true } }),
      scene.dropIn('firewall', { name, backend: 'iptables' }),
    ] as const
    const ports = [{ hostPort: 8080, containerPort: 80 }]
    const [bridge, ...others] = plugins
    const result = await bridge.add(web, { ports })
    for (const plugin of others) await plugin.add(web, { ports, prevResult: result })
    const check = async () => {
      for (const plugin of plugins) await plugin.check(web, result, { ports })
    }
    await check()
    for (const taken of ['nft flush ruleset', EMPTY]) {
      await host.run('sh', '-c', taken)
      let lacking: unknown
      const isWhole = () =>
        check().then(
          () => true,
          thrown => {
            lacking = thrown
            return false
          },
        )
      await waitFor(isWhole, { what: 'all to be there', withinMs: 20_000 }).then(
        () => t.pass(taken),
        () => t.fail(taken, { lacking: String(lacking), log: daemon.stderr }),
      )
      await t.resolves(client.ask('tcp', HOST[4], 8080))
    }
    const guard = async () => (await host.run('nft', 'list', 'table', 'bridge', 'nat')).stdout
    const guarded = await guard()
    for (const [what, taken] of Object.entries(OF_GUARD)) {
      await host.run('sh', '-ec', taken)
      const isBack = async () => (await guard()) === guarded
      await t.resolves(waitFor(isBack, { what: `the guard, after ${what}`, withinMs: 20_000 }), what)
      await t.resolves(check(), what)
    }
    for (const plugin of plugins.toReversed()) await plugin.delete(web, { ports, prevResult: result })
    const { stdout } = await host.run('sh', '-c', 'nft list ruleset; iptables-save; ip6tables-save')
    t.notMatch(stdout, /10\.88\.|CNI-DN|CNI-SN|cni_hostport_[0-9a-f]/, 'nothing of the container is left')
    t.equal((await tsnet.run('reconcile', '--dry-run')).stdout, 'nothing is lacking\n')
    t.equal((await daemon.stop('SIGTERM')).code, 0)
  })
}
