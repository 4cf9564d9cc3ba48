/** Addresses of names in lists: what comes together, and what of it is refused. */

import t from 'tap'
import { type Host, lab } from 'tsnet/lab'
import { type Cidr, type Ip, parseIp } from '../../src/model/address/address.ts'
import { isOfNetwork, type Permission, readEntry } from '../../src/model/address/reach.ts'
import {
  type Fill,
  fillReach,
  installReach,
  NamedReach,
  type ReachGuard,
  withdrawReach,
} from '../../src/nat/nat.ts'
import { listElements } from '../../src/netfilter/list.ts'
import { netfilterHere } from '../../src/netfilter/netfilter.ts'

t.setTimeout(300_000)

const listOf = (text: string): Permission[] => {
  const read = readEntry(text)
  if (typeof read === 'string' || isOfNetwork(read)) throw new Error(String(read))
  return [read]
}
const allow = listOf('*.example.org')
const ownerOf = (n: number): string => String(n).padStart(16, '0')

const guardOf = (n: number, more: Partial<ReachGuard> = {}): ReachGuard => ({
  owner: ownerOf(n),
  hostInterface: `veth${n}`,
  gateways: ['br0'],
  mac: `02:00:00:00:00:0${n}`,
  addresses: [`10.1.0.${n}/24` as Cidr],
  resolvers: [parseIp('10.1.0.1')],
  isOnWire: false,
  reach: { allow },
  ...more,
})

const fillOf = (n: number, addresses: readonly string[], ttlS = 0, list = allow): Fill => {
  const reach = new NamedReach(ownerOf(n), list)
  const entries = reach.entriesOf('a.example.org', addresses as Ip[], ttlS)
  return { owner: ownerOf(n), elements: entries?.elements ?? [], lastsS: entries?.lastsS ?? 0 }
}

const far = (n: number): string => `203.0.${n >> 8}.${n & 255}`

const heldBy = (host: Host, n: number): string[] =>
  host
    .inside(() =>
      listElements(netfilterHere(), { family: 'inet', name: 'tsnet-reach' }, `named4-${ownerOf(n)}`),
    )
    .map(({ key, expiresMs = 0 }) => `${key.join('.')} ${Math.ceil(expiresMs / 60_000)}`)
    .sort()

t.test('what comes together is put in together, and what is refused of it concerns nobody else', async t => {
  await using world = await lab()
  const host = await world.host('host')
  for (const n of [2, 3]) host.inside(() => installReach(guardOf(n)))
  const refusedOf = (fills: Fill[]): number[] =>
    host.inside(() => {
      const refused = fillReach(fills)
      return fills.flatMap((fill, i) => (refused.has(fill) ? [i] : []))
    })
  t.strictSame(
    refusedOf([
      fillOf(2, [far(1), far(2)]),
      fillOf(3, [far(1)]),
      fillOf(2, [far(2)], 100),
      fillOf(2, [far(1)]),
    ]),
    [],
    'the same address of several names is no hindrance',
  )
  t.strictSame(heldBy(host, 2), [`${far(1)} 1`, `${far(2)} 3`], 'it stays as long as the longest')
  t.strictSame(heldBy(host, 3), [`${far(1)} 1`])
  t.strictSame(refusedOf([fillOf(4, [far(5)]), fillOf(3, [far(5)])]), [0], 'whose list is not there')
  t.strictSame(heldBy(host, 3), [`${far(1)} 1`, `${far(5)} 1`])
  // Somebody else's change: what is there is not known any more.
  await host.run('nft', 'add', 'table', 'inet', 'others')
  t.strictSame(
    refusedOf([fillOf(2, [far(2), far(3)], 100), fillOf(3, [far(6)])]),
    [],
    'what is there already',
  )
  t.strictSame(heldBy(host, 2), [`${far(1)} 1`, `${far(2)} 3`, `${far(3)} 3`])
  for (let from = 0; from < 1 << 16; from += 4_096)
    refusedOf([
      fillOf(
        2,
        Array.from({ length: 4_095 }, (_, i) => `198.51.${(from + i) >> 8}.${i & 255}`),
        9_000,
      ),
    ])
  const most = Array.from({ length: 20 }, (_, i) => fillOf(2, [`192.0.2.${i}`]))
  const full = refusedOf([fillOf(3, [far(7)]), ...most, fillOf(3, [far(8)]), fillOf(2, [far(3)], 500)])
  t.notOk(full.includes(0) || full.includes(21), 'whose neighbour is full')
  t.ok(full.length > 0 && full.every(i => i > 0), 'what finds no room')
  t.notOk(full.includes(22), 'what is in the full list stays on')
  t.ok(heldBy(host, 2).includes(`${far(3)} 10`))
  for (const n of [2, 3]) host.inside(() => withdrawReach(ownerOf(n)))
  t.equal((await host.run('nft', 'list', 'tables')).stdout, 'table inet others\n')
})

t.test('whoever has an older list puts nothing into the maps of the one that took its place', async t => {
  await using world = await lab()
  const host = await world.host('host')
  host.inside(() => installReach(guardOf(2)))
  const other = listOf('a.example.org')
  const isRefused = (fill: Fill) => host.inside(() => fillReach([fill])).has(fill)
  t.notOk(isRefused(fillOf(2, [far(1)])))
  host.inside(() => installReach(guardOf(2, { reach: { allow: other } })))
  t.ok(isRefused(fillOf(2, [far(2)])), 'as a daemon may for a moment that is being succeeded')
  t.strictSame(heldBy(host, 2), [])
  t.notOk(isRefused(fillOf(2, [far(2)], 0, other)), 'control: who has this one')
  t.strictSame(heldBy(host, 2), [`${far(2)} 1`])
  host.inside(() => withdrawReach(ownerOf(2)))
  t.equal((await host.run('nft', 'list', 'tables')).stdout, '')
})

/** The chain's own comment; those of rules end their lines. */
const OF_CHAIN = /^\s*comment /m

t.test('a list goes whatever others left of it, and however many interfaces lead to it', async t => {
  await using world = await lab()
  const host = await world.host('host')
  const tables = async () => (await host.run('nft', 'list', 'tables')).stdout
  const chainOf = async (n: number) =>
    (await host.run('nft', 'list', 'chain', 'inet', 'tsnet-reach', `list-${ownerOf(n)}`)).stdout
  host.inside(() => installReach(guardOf(2)))
  t.match(await chainOf(2), OF_CHAIN, 'control')
  await host.run('nft', 'flush', 'chain', 'inet', 'tsnet-reach', `list-${ownerOf(2)}`)
  await host.run('nft', 'delete', 'set', 'inet', 'tsnet-reach', `named4-${ownerOf(2)}`)
  host.inside(() => withdrawReach(ownerOf(2)))
  t.equal(await tables(), '')
  const gateways = Array.from({ length: 8 }, (_, i) => `a-long-name-${i}`)
  const guard = guardOf(3, { gateways })
  host.inside(() => installReach(guard))
  t.notMatch(await chainOf(3), OF_CHAIN, 'there is no room for what is of it')
  host.inside(() => installReach(guardOf(3, { gateways: gateways.slice(1) })))
  const map = await host.run('nft', 'list', 'map', 'inet', 'tsnet-reach', 'containers')
  t.equal(map.stdout.match(/a-long-name-\d/g)?.length, 7)
  host.inside(() => withdrawReach(ownerOf(3)))
  t.equal(await tables(), '')
})
