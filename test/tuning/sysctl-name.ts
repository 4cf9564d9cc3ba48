import fc from 'fast-check'
import t from 'tap'
import { sysctlNames } from '../../src/tuning/tuning.ts'

t.test('dots and slashes part a key, and IFNAME stands for the interface with its own dots', async t => {
  t.strictSame(sysctlNames('net.ipv4.ip_forward', 'eth0'), ['net/ipv4/ip_forward'])
  t.strictSame(sysctlNames('net/ipv4/ip_forward', 'eth0'), ['net/ipv4/ip_forward'])
  t.strictSame(sysctlNames('/net/ipv4/ip_forward', 'eth0'), ['net/ipv4/ip_forward'])
  const [first] = sysctlNames('net.ipv4.conf.IFNAME.arp_filter', 'eth0.100')
  t.equal(first, 'net/ipv4/conf/eth0.100/arp_filter')
  t.strictSame(sysctlNames('net.ipv4.conf.IFNAME.IFNAME', 'lan'), ['net/ipv4/conf/lan/IFNAME'])
})

t.test('a name with a dot in it can be written as sysctl(8) takes it', async t => {
  const name = 'net/ipv4/conf/eth0.100/forwarding'
  for (const key of [name, 'net.ipv4.conf.eth0/100.forwarding']) {
    t.strictSame(sysctlNames(key, 'x'), ['net/ipv4/conf/eth0/100/forwarding', name], key)
  }
})

t.test('a key that leads anywhere else is refused', async t => {
  const keys = ['kernel.hostname', 'net', 'net.', '', 'a', 'netx.ipv4', 'fs/net/x', 'net/../kernel/hostname']
  for (const key of [
    ...keys,
    'net..ipv4',
    '../net/ipv4/x',
    'net.ipv4.a b',
    'net.ipv4.x\0',
    'net.ipv4.x\n',
    'net.$(id)',
  ]) {
    t.throws(
      () => sysctlNames(key, 'eth0'),
      { code: 'invalid-config', message: /invalid net sysctl key/ },
      key,
    )
  }
})

t.test('whatever the key, only files below net/ come out', async () => {
  const piece = fc.constantFrom('net', 'ipv4', '.', '..', '/', 'IFNAME', 'kernel', 'x', '\0', ' ', '%')
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 8 }),
      fc.constantFrom('eth0', 'a.b', '...'),
      (pieces, ifname) => {
        let names: string[] = []
        try {
          names = sysctlNames(pieces.join(''), ifname)
        } catch {
          return true
        }
        return names.every(name => /^net(\/(?!\.\.?(\/|$))[A-Za-z0-9_.:+@-]+)+$/.test(name))
      },
    ),
    { numRuns: 2000 },
  )
})
