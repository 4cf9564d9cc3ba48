/**
 * podman's and containerd's stock lists, each of their plugins ours or the reference's, in all combinations.
 * What the reference leaves behind is learned from the run in which all are its own; the others leave no
 * more. Ours leave nothing but the bridge itself, which stays as the reference's does.
 */

import t, { type Test } from 'tap'
import { snapshot, waitFor } from 'tsnet/lab'
import { addNetworkList, checkNetworkList, deleteNetworkList, type NetworkList } from '../support/libcni.ts'
import { installPlugins, pluginsOf } from '../support/plugins.ts'
import { at, ECHO, families, leftovers, openSite } from '../support/site.ts'
import { CHAIN, containerdList, podmanList } from '../support/stock.ts'

t.setTimeout(600_000)

type Plugin = (typeof CHAIN)[number]

const pluginsIn = (list: NetworkList): Plugin[] =>
  CHAIN.filter(name => list.plugins.some(({ type }) => type === name))

/** Every selection of some of these, none and all among them. */
const selections = (plugins: readonly Plugin[]): Plugin[][] =>
  Array.from({ length: 2 ** plugins.length }, (_, bits) => plugins.filter((_, i) => (bits & (1 << i)) !== 0))

const capabilities = {
  portMappings: [
    { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
    { hostPort: 8053, containerPort: 53, protocol: 'udp' },
  ],
}

const describe = (list: NetworkList, ours: readonly Plugin[]): string =>
  pluginsIn(list)
    .map(name => (ours.includes(name) ? name.toUpperCase() : name))
    .join(' → ')

/** Puts a container on the network and takes it off again. @returns what is left of it */
async function run(t: Test, list: NetworkList, ours: readonly Plugin[]): Promise<string[]> {
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
    const result = await addNetworkList(list, call, execute)
    const servers = [namespace.listen('tcp', 80), namespace.listen('udp', 53)]
    t.match(result.ips, [{ address: /^10\.88\./ }])
    for (const family of families.slice(0, result.ips?.length)) {
      const [to, peer] = [at.host[family], at.client[family]]
      // The address of a bridge in IPv6 may still be checked for being another's.
      const what = `its TCP port, ${family}`
      const first = await waitFor(() => client.ask('tcp', to, 8080), { what })
      t.match(first, { place: 'web', peer }, what)
      t.match(await client.ask('udp', to, 8053), { place: 'web', peer }, `its UDP port, ${family}`)
      if (list.plugins[0]?.hairpinMode === true) {
        t.match(await namespace.ask('tcp', to, 8080), { place: 'web' }, `its port from itself, ${family}`)
      }
      const seen = await namespace.ask('tcp', at.outside[family], ECHO)
      t.match(seen, { place: 'outside', peer: at.hostOutside[family] }, `the world, ${family}`)
    }
    t.match(await host.ask('tcp', '127.0.0.1', 8080), { place: 'web' }, 'its port at 127.0.0.1')
    // The reference's portmap 1.1.1 looks for rules of IPv6 where there are none, and fails.
    const checked = list.plugins.filter(({ type }) => type !== 'portmap' || ours.includes('portmap'))
    await checkNetworkList({ ...list, plugins: checked }, call, result, execute)

    await deleteNetworkList(list, call, result, execute)
    await t.rejects(client.ask('tcp', at.host.v4, 8080, { withinMs: 300 }), 'its port is closed')
    await deleteNetworkList(list, call, result, execute)
    for (const server of servers) server.close()
    const left = leftovers(before, await snapshot(host), NOISE)
    return left.map(line => line.replace(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, '…'))
  } finally {
    await world.end()
  }
}

/**
 * The pool of addresses remembers where it stands; the kernel gives a bridge addresses of its own; a host that
 * forwards goes on listening to its routers, which is ours.
 */
const NOISE =
  /^connection |\/var\/lib\/cni\/networks\/(podman|containerd-net|\.tsnet)|fe80::|accept_ra|anycast/

/** What belongs to a plugin of the list; to the bridge, what is of no other. */
const MARKS: Partial<Record<Plugin, RegExp>> = {
  portmap: /CNI-HOSTPORT|CNI-DN|tsnet:loopback|route_localnet|\/run\/tsnet\/(portmap|ports)/,
  firewall: /CNI-FORWARD|CNI-ADMIN|CNI-ISOLATION|\/run\/tsnet\/firewall/,
  tuning: /tuning/,
}

const isOf = (name: Plugin, line: string): boolean =>
  MARKS[name]?.test(line) ?? !Object.values(MARKS).some(mark => mark.test(line))

for (const list of [podmanList, containerdList]) {
  t.test(`the list ${list.name} in all combinations`, async t => {
    const [none = [], ...others] = selections(pluginsIn(list))
    const theirs = await run(t, list, none)
    for (const name of pluginsIn(list).filter(name => name !== 'tuning')) {
      const some = theirs.some(line => isOf(name, line))
      t.ok(some, `control: the reference leaves something of ${name}`)
    }
    for (const ours of others) {
      await t.test(describe(list, ours), async t => {
        const left = await run(t, list, ours)
        const more = left.filter(line => !theirs.includes(line))
        t.strictSame(more, [], 'no more than the reference leaves')
        const own = left.filter(line => ours.some(name => name !== 'bridge' && isOf(name, line)))
        t.strictSame(own, [], 'nothing of ours')
      })
    }
  })
}
