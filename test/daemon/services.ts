/** Who is a member of a service, as other hosts and lists have it. */

import t from 'tap'
import { Services } from '../../src/daemon/hosts/services.ts'
import type { Away } from '../../src/hosts/hosts.ts'
import type { Ip } from '../../src/model/address/address.ts'

const away = (host: string, container: string, ...names: string[]): Away => ({
  host,
  hostName: `name-of-${host}`,
  container,
  names,
  addresses: ['10.200.7.5' as Ip],
  prefixes: [],
})

interface Told {
  network: string
  away: Away
  isDrained: boolean
}

const servicesOf = (told: Told[], known: (network: string) => boolean = () => true): Services =>
  new Services(
    { others: () => [] },
    {
      away: name => told.filter(each => each.away.names.includes(name)),
      isDrained: () => false,
      isKnown: known,
    },
  )

t.test('a container counts once, on however many networks it is', async t => {
  const { find } = servicesOf([
    { network: 'front', away: away('h1', 'c1', 'web', 'www'), isDrained: false },
    { network: 'back', away: away('h1', 'c1', 'web'), isDrained: false },
    { network: 'front', away: away('h2', 'c1', 'web'), isDrained: false },
    { network: 'front', away: away('h2', 'c2', 'db'), isDrained: false },
  ])
  const { here, away: all, drained } = find({ name: 'web' }, [])
  t.strictSame([here.length, all.length, drained], [0, 2, 0])
  t.match(all, [
    { name: 'web', host: 'name-of-h1', network: 'front' },
    { host: 'name-of-h2', network: 'front' },
  ])
  t.match(find({ name: 'web', network: 'back' }, []).away, [{ host: 'name-of-h1', network: 'back' }])
  t.strictSame(find({ name: 'nobody' }, []), { here: [], away: [], drained: 0 })
})

t.test('those of a host that is drained are left out, and counted', async t => {
  const { find } = servicesOf([
    { network: 'front', away: away('h1', 'c1', 'web'), isDrained: true },
    { network: 'front', away: away('h2', 'c2', 'web'), isDrained: false },
  ])
  t.match(find({ name: 'web' }, []), { away: [{ host: 'name-of-h2' }], drained: 1 })
})

t.test('while nobody knows who is on other hosts, those that were stay', async t => {
  const before = [
    { name: 'web', host: 'h1', network: 'front', addresses: ['10.200.1.5' as Ip] },
    { name: 'web', host: 'h2', network: 'back', addresses: ['10.201.1.5' as Ip] },
  ]
  const { find } = servicesOf([], network => network === 'back')
  t.strictSame(find({ name: 'web' }, before).away, before.slice(0, 1))
})
