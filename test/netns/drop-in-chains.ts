/**
 * podman's stock list with each of its plugins ours or the reference's, in all sixteen combinations. What
 * the reference leaves behind is learned from the run in which all are its own; the others leave no more.
 * Ours leave nothing but the bridge itself, which stays as the reference's does.
 */

import t, { type Test } from 'tap'
import { snapshot } from 'tsnet/lab'
import { addNetworkList, checkNetworkList, deleteNetworkList } from '../support/libcni.ts'
import { installPlugins, pluginsOf } from '../support/plugins.ts'
import { at, leftovers, openSite } from '../support/site.ts'
import { CHAIN, podmanList } from '../support/stock.ts'

t.setTimeout(280_000)

type Plugin = (typeof CHAIN)[number]

const combinations: Plugin[][] = Array.from({ length: 2 ** CHAIN.length }, (_, bits) =>
  CHAIN.filter((_, i) => (bits & (1 << i)) !== 0),
)

const capabilities = {
  portMappings: [
    { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
    { hostPort: 8053, containerPort: 53, protocol: 'udp' },
  ],
}

const describe = (ours: readonly Plugin[]): string =>
  CHAIN.map(name => (ours.includes(name) ? name.toUpperCase() : name)).join(' → ')

/** Puts a container on the network and takes it off again. @returns what is left of it */
async function run(t: Test, ours: readonly Plugin[]): Promise<string[]> {
  const { world, host, client } = await openSite()
  try {
    // host-local is of the other kind than the bridge that calls it.
    await installPlugins(host, [...ours, ...(ours.includes('bridge') ? [] : ['host-local'])])
    const namespace = await host.namespace('web')
    // Tables of iptables stay where they were once used.
    for (const family of ['', '6']) {
      const used = 'for t in raw mangle nat filter; do "$1" -t $t -N X; "$1" -t $t -X X; done'
      await host.run('sh', '-c', used, 'sh', `ip${family}tables`)
    }
    const before = await snapshot(host)
    const call = { containerId: 'web', netns: namespace.path, ifname: 'eth0', capabilities }
    const execute = pluginsOf(host)
    const result = await addNetworkList(podmanList, call, execute)
    const servers = [namespace.listen('tcp', 80), namespace.listen('udp', 53)]
    t.match(result.ips, [{ address: /^10\.88\./ }])
    t.match(await client.ask('tcp', at.host.v4, 8080), { place: 'web', peer: at.client.v4 }, 'its TCP port')
    t.match(await client.ask('udp', at.host.v4, 8053), { place: 'web', peer: at.client.v4 }, 'its UDP port')
    t.match(await host.ask('tcp', '127.0.0.1', 8080), { place: 'web' }, 'its port at 127.0.0.1')
    t.match(await namespace.ask('tcp', at.host.v4, 8080), { place: 'web' }, 'its port, from itself')
    t.match(await namespace.ask('tcp', at.outside.v4, 7000), { place: 'outside', peer: at.hostOutside.v4 })
    // The reference's portmap 1.1.1 looks for rules of IPv6 where there are none, and fails.
    const checked = podmanList.plugins.filter(({ type }) => type !== 'portmap' || ours.includes('portmap'))
    await checkNetworkList({ ...podmanList, plugins: checked }, call, result, execute)

    await deleteNetworkList(podmanList, call, result, execute)
    await t.rejects(client.ask('tcp', at.host.v4, 8080, { withinMs: 300 }), 'its port is closed')
    await deleteNetworkList(podmanList, call, result, execute)
    for (const server of servers) server.close()
    const left = leftovers(before, await snapshot(host), NOISE)
    return left.map(line => line.replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, '…'))
  } finally {
    await world.end()
  }
}

/** The pool of addresses remembers where it stands; the kernel gives a bridge addresses of its own. */
const NOISE = /^connection |\/var\/lib\/cni\/networks\/(podman|\.tsnet)|fe80::/

/** What belongs to a plugin of the list; to the bridge, what is of no other. */
const MARKS: Partial<Record<Plugin, RegExp>> = {
  portmap: /CNI-HOSTPORT|CNI-DN|tsnet:loopback|route_localnet|\/run\/tsnet\/(portmap|ports)/,
  firewall: /CNI-FORWARD|CNI-ADMIN|CNI-ISOLATION|\/run\/tsnet\/firewall/,
  tuning: /tuning/,
}

const isOf = (name: Plugin, line: string): boolean =>
  MARKS[name]?.test(line) ?? !Object.values(MARKS).some(mark => mark.test(line))

t.test('podman’s list in all combinations', async t => {
  const theirs = await run(t, [])
  for (const name of ['bridge', 'portmap', 'firewall'] as const) {
    t.ok(
      theirs.some(line => isOf(name, line)),
      `control: the reference leaves something of ${name}`,
    )
  }
  for (const ours of combinations.slice(1)) {
    await t.test(describe(ours), async t => {
      const left = await run(t, ours)
      const more = left.filter(line => !theirs.includes(line))
      t.strictSame(more, [], 'no more than the reference leaves')
      const others = left.filter(line => ours.some(name => name !== 'bridge' && isOf(name, line)))
      t.strictSame(others, [], 'nothing of ours')
    })
  }
})
