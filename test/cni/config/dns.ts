import t from 'tap'
import { readDnsSettings } from '../../../src/cni/config/dns.ts'
import { overlayDns } from '../../../src/model/json/dns.ts'
import { Json } from '../../../src/model/json/json.ts'

const settings = (config: object) => readDnsSettings(new Json(config, ''))

const dns = { nameservers: ['10.1.0.1'], domain: 'test', search: ['a.test'], options: ['ndots:2'] }

t.test('resolver settings come from the configuration, and from the runtime, which wins', async t => {
  t.same(settings({ dns }), dns)
  const runtime = { Servers: ['fd00::1'], Searches: [], Options: null }
  t.same(settings({ dns, runtimeConfig: { dns: runtime } }), { ...dns, nameservers: ['fd00::1'] })
  t.same(settings({ runtimeConfig: { dns: runtime } }), { nameservers: ['fd00::1'], search: [], options: [] })
})

t.test('empty resolver settings are none', async t => {
  for (const config of [{}, { dns: {} }, { dns: null }, { dns: { nameservers: [], domain: '' } }]) {
    t.equal(settings(config), undefined)
  }
})

t.test('a link-local server keeps its interface', async t => {
  t.same(settings({ dns: { nameservers: ['fe80::1%eth0'] } })?.nameservers, ['fe80::1%eth0'])
})

t.test('what would become another line of resolv.conf is refused', async t => {
  const bad: [object, RegExp][] = [
    [{ nameservers: ['10.1.0.1\nnameserver 6.6.6.6'] }, /^dns\.nameservers\[0\]: "10\.1\.0\.1\\nname/],
    [{ search: ['a.test\noptions x'] }, /^dns\.search\[0\]/],
    [{ search: ['a'.repeat(256)] }, /^dns\.search\[0\]/],
    [{ domain: 'a\tb' }, /^dns\.domain/],
    [{ options: 'ndots:2' }, /^dns\.options: "ndots:2" is not a list/],
  ]
  for (const [section, message] of bad) {
    t.throws(() => settings({ dns: section }), { code: 'invalid-config', message })
  }
})

t.test(
  'what the reference passes on is passed on: names, ports, several words; what is empty says nothing',
  async t => {
    const nameservers = ['dns.test', '[fe80::1%eth0]:53', ' 10.1.0.1 ', '', null]
    const dns = { nameservers, search: ['', 'münchen.test'], options: ['ndots:2 rotate'], domain: ' ' }
    const read = {
      nameservers: ['dns.test', '[fe80::1%eth0]:53', '10.1.0.1'],
      search: ['münchen.test'],
      options: ['ndots:2 rotate'],
    }
    t.strictSame(settings({ dns }), read)
    const { search: searches, options } = dns
    t.strictSame(settings({ runtimeConfig: { dns: { servers: nameservers, searches, options } } }), read)
  },
)

t.test('settings overrule others key by key, where they say something', async t => {
  const over = { nameservers: [], search: ['b.test'], options: [] }
  t.same(overlayDns(dns, over), { ...dns, search: ['b.test'] })
  t.same(overlayDns(undefined, over), over)
  t.same(overlayDns(dns, undefined), dns)
  t.equal(overlayDns(undefined, undefined), undefined)
})
