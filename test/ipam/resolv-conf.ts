import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseResolvConf, readResolvConf } from '../../src/ipam/resolv-conf.ts'

t.test('a resolv.conf is read to the keys of a CNI result', async t => {
  const text = `
# made by somebody
; and somebody else
nameserver 192.0.2.1
nameserver  2001:db8::1   \t
domain example.net
search a.example.net\tb.example.net
search c.example.net
options ndots:5 rotate
sortlist 10.0.0.0
nameserver
#nameserver 192.0.2.9
domain example.com\r
`
  t.same(parseResolvConf(text), {
    nameservers: ['192.0.2.1', '2001:db8::1'],
    domain: 'example.com',
    search: ['a.example.net', 'b.example.net', 'c.example.net'],
    options: ['ndots:5', 'rotate'],
  })
})

t.test('an empty file says nothing', async t => {
  t.same(parseResolvConf(''), { nameservers: [], search: [], options: [] })
})

t.test('a file that cannot be read is named', async t => {
  const path = join(t.testdir(), 'resolv.conf')
  t.throws(() => readResolvConf(path), {
    code: 'io',
    message: /^ipam\.resolvConf: cannot read ".*resolv\.conf": ENOENT/,
  })
  writeFileSync(path, 'nameserver ::1')
  t.same(readResolvConf(path).nameservers, ['::1'])
})
