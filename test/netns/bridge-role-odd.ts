/**
 * Input that is odd and in use: what the reference takes, the drop-in takes too, with the same result and the same
 * routes; and so does the role `tsnet`.
 */

import t from 'tap'
import type { Namespace } from 'tsnet/lab'
import { inside, openStages, type Stage } from '../support/bridge-role.ts'
import { FakePlugin, print } from '../support/fake-plugin.ts'

t.setTimeout(600_000)

/** As CRI-O has long installed it, with a route into the second subnet by an address of it. */
const crio = {
  bridge: 'br7',
  isGateway: true,
  ipMasq: true,
  hairpinMode: true,
  ipam: {
    type: 'host-local',
    routes: [{ dst: '0.0.0.0/0' }, { dst: '1100:200::1/24' }],
    ranges: [[{ subnet: '10.85.0.0/16' }], [{ subnet: '1100:200::/24' }]],
  },
}

const plain = { subnet: '10.85.0.0/16' }
const hostLocal = (more: object) => ({ ...crio, ipam: { type: 'host-local', ...plain, ...more } })

const lists: [what: string, config: Record<string, unknown>][] = [
  ['an IPv6 route with host bits', crio],
  [
    'a gateway of 0.0.0.0',
    hostLocal({ routes: [{ dst: '10.9.0.0/16', gw: '0.0.0.0' }, { dst: '0.0.0.0/0' }] }),
  ],
  ['a default route by 0.0.0.0', hostLocal({ routes: [{ dst: '0.0.0.0/0', gw: '0.0.0.0' }] })],
  [
    'nothing where something could be',
    hostLocal({ routes: null, dataDir: '', rangeStart: null, gateway: '' }),
  ],
  [
    'servers that are names',
    { ...hostLocal({}), dns: { nameservers: ['dns.test', '[fd00::1]:53'], search: ['münchen.test'] } },
  ],
  [
    'a folder from where the caller is',
    hostLocal({ dataDir: 'run/here/leases', resolvConf: './run/here/resolv.conf' }),
  ],
]

/** What the kernel adds to a route of a link is no matter: `scope link` is what a route without gateway means. */
const routesIn = async (web: Namespace): Promise<string[]> =>
  (await inside(web)).map(line => line.replace(' scope link', '').trim()).sort()

/** ADD, CHECK and DEL on a host of its own: the result and what is in the container. */
async function made(
  stage: Stage,
  config: Record<string, unknown>,
  plugin = 'bridge',
  env: Record<string, string> = {},
) {
  const web = await stage.container('web')
  const top = plugin === 'bridge' ? {} : { type: 'tsnet' }
  const call = (command: string, more: object = {}) =>
    stage.call(command, web, config, { top: { ...top, ...more }, plugin, env })
  const { code, error, result = {} } = await call('ADD')
  t.equal(code, 0, error ?? 'ADD')
  const routes = await routesIn(web)
  if (stage.whose === 'tsnet') t.equal((await call('CHECK', { prevResult: result })).code, 0)
  t.equal((await call('DEL')).code, 0)
  const { ips, routes: told, dns } = result
  return { ips, told, dns, routes }
}

for (const [what, config] of lists) {
  t.test(`${what}: as the reference`, async t => {
    const { theirs, ours } = await openStages(t)
    for (const stage of [theirs, ours]) {
      await stage.host.run('sh', '-c', 'mkdir -p /run/here; echo nameserver 1.2.3.4 >/run/here/resolv.conf')
    }
    const found = await made(ours, config)
    const expected = await made(theirs, config)
    // 1.1.1 leaves out what its own host-local has read of a resolv.conf.
    t.strictSame({ ...found, dns: undefined }, { ...expected, dns: undefined })
    if (config.dns !== undefined) t.strictSame(found.dns, expected.dns)
  })
}

t.test('the role tsnet takes them too', async t => {
  for (const [what, config] of lists) {
    const { ours } = await openStages(t)
    await ours.host.run('sh', '-c', 'mkdir -p /run/here; echo nameserver 1.2.3.4 >/run/here/resolv.conf')
    const { told } = await made(ours, config, '../bin/tsnet')
    const { routes } = config.ipam as { routes?: object[] }
    t.strictSame(told ?? [], routes ?? [], what)
  }
})

t.test('so does a route that another IPAM plugin names', async t => {
  const answer = {
    cniVersion: '1.0.0',
    ips: [{ address: '10.85.0.2/16', gateway: '10.85.0.1' }],
    routes: [{ dst: '10.9.0.0/16', gw: '0.0.0.0' }],
    dns: { nameservers: ['', 'dns.test'] },
  }
  const plugin = new FakePlugin(t.testdir({}), `case $CNI_COMMAND in ADD) ${print(answer)} ;; esac`)
  const { theirs, ours } = await openStages(t)
  const config = { ...crio, ipam: { type: plugin.name } }
  const env = { CNI_PATH: plugin.folder }
  const [expected, found] = [
    await made(theirs, config, 'bridge', env),
    await made(ours, config, 'bridge', env),
  ]
  t.strictSame({ ...found, dns: undefined }, { ...expected, dns: undefined })
  t.strictSame(found.dns, { nameservers: ['dns.test'] })
})

t.test(
  'a result before 1.1.0 cannot tell metric, table and scope of a route, and CHECK does without',
  async t => {
    const routes = [
      { dst: '10.9.0.0/16', table: 100, priority: 5 },
      { dst: '10.10.0.0/16', scope: 253 },
      { dst: 'fd09::/64', priority: 77 },
    ]
    const config = { ...crio, ipam: { ...crio.ipam, routes } }
    const { ours } = await openStages(t)
    await made(ours, config)
    const web = await ours.container('other')
    const { result } = await ours.call('ADD', web, config)
    const check = async () => (await ours.call('CHECK', web, config, { top: { prevResult: result } })).error
    t.equal(await check(), undefined)
    await web.run('ip', 'route', 'flush', 'table', '100')
    t.match(await check(), /lacks route 10\.9\.0\.0\/16/)
  },
)
