/**
 * What asks in containers: glibc, musl and busybox, each by the resolv.conf that a runtime makes of a CNI result.
 *
 * The network has IPv4 alone, so half of what they ask for is not there: musl gives a name up whose AAAA is refused.
 */

import { writeFileSync } from 'node:fs'
import t from 'tap'
import { NameServer } from '../support/dns.ts'
import { makeLookups } from '../support/lookup.ts'
import { NAMES, named, withNames } from '../support/names.ts'
import { CLIENT } from '../support/scene.ts'

t.setTimeout(600_000)

t.test('glibc, musl and busybox find containers and others, and do not find what is not there', async t => {
  const { scene, tsnet } = await withNames(t, 'nftables', 'a', 'b', 'c')
  const { host } = scene
  await host.tmpfs('/srv', '/etc')
  using _ = await NameServer.at(scene.client, CLIENT[4], (name, type) =>
    type === 'A' ? [{ name, type: 'A', data: '192.0.2.7' }] : [],
  )
  await tsnet.daemon()
  const [a, b, c] = [scene.get('a'), scene.get('b'), scene.get('c')]
  const four = scene.network('four', 40, {
    ...NAMES,
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.40.0.0/16' }]] },
  })
  const result = await four.add(a, named('web'))
  await four.add(c, named('other', 'web'))
  const { dns } = await four.add(b, named('client'))
  const { nameservers, search } = dns as { nameservers: string[]; search: string[] }
  writeFileSync(
    host.path('/etc/resolv.conf'),
    [...nameservers.map(server => `nameserver ${server}`), `search ${search.join(' ')}`, ''].join('\n'),
  )
  await makeLookups(host)
  const resolvers: Record<string, (name: string) => string[]> = {
    glibc: name => ['/srv/glibc', name],
    musl: name => ['/srv/musl', name],
    busybox: name => ['busybox', 'nslookup', name],
  }
  const addressOf = ({ ips = [] }: typeof result) => ips[0]?.address.split('/')[0] ?? ''
  for (const [kind, command] of Object.entries(resolvers)) {
    const lookUp = async (name: string) => {
      const { stdout, code } = await b.run(...command(name), { mayFail: true })
      return { code, text: stdout }
    }
    for (const name of ['web', 'web.tsnet.internal']) {
      // busybox asks for what it is given, and knows no search list.
      if (kind === 'busybox' && name === 'web') continue
      const found = await lookUp(name)
      t.equal(found.code, 0, `${kind} ${name}`)
      t.ok(found.text.includes(addressOf(result)), `${kind} ${name}: ${found.text}`)
      t.equal(found.text.match(/10\.40\.0\.(?!1\b)\d+/g)?.length, 2, 'both of that name')
    }
    const elsewhere = await lookUp('example.com')
    t.ok(elsewhere.text.includes('192.0.2.7'), `${kind} example.com`)
    const nobody = await lookUp('nobody.tsnet.internal')
    t.notOk(/10\.40\.0\.(?!1\b)/.test(nobody.text), `${kind} nobody`)
  }
})
