/** Options of other engines, as words of ours: understood, or refused by their name. */

import t from 'tap'
import { readOptions } from '../../../src/networks/wish/options.ts'

t.test('what users of podman and of Docker know becomes the words of ours', async t => {
  const cases: [options: Record<string, string>, words: object][] = [
    [{}, {}],
    [
      { mtu: '1400', isolate: 'true', metric: '5' },
      { mtu: '1400', isolate: true, metric: '5' },
    ],
    [{ outbound_addr4: '192.0.2.9', outbound_addr6: 'fd00::9' }, { egressAddress: ['192.0.2.9', 'fd00::9'] }],
    [{ isolate: 'strict' }, { isolate: true }],
    [
      { isolate: '0', no_default_route: '1', mode: 'managed' },
      { direct: true, noDefaultRoute: true },
    ],
    [
      {
        'com.docker.network.driver.mtu': '1300',
        'com.docker.network.bridge.name': 'br7',
        'com.docker.network.bridge.enable_icc': 'false',
        'com.docker.network.bridge.enable_ip_masquerade': 'False',
      },
      { mtu: '1300', interfaceName: 'br7', icc: false, masquerade: false },
    ],
    [
      {
        'tsnet.uplink': 'eth1',
        'tsnet.ingress-rate': '1M',
        'tsnet.egress-rate': '2M',
        'tsnet.direct': 'false',
      },
      { uplink: 'eth1', ingressRate: '1M', egressRate: '2M' },
    ],
  ]
  for (const [options, words] of cases) t.strictSame(readOptions(options), { words }, JSON.stringify(options))
  t.strictSame(readOptions({ 'tsnet.network': 'front' }), { joins: 'front', words: {} })
})

t.test('what is not done is refused by its name', async t => {
  const cases: [options: Record<string, string>, message: RegExp][] = [
    [{ vlan: '5' }, /^-o vlan: .* list written by hand/],
    [{ vrf: 'red' }, /^-o vrf: /],
    [{ mode: 'unmanaged' }, /^-o mode: "unmanaged" is not managed/],
    [{ isolate: 'yes' }, /^-o isolate: "yes" is neither true nor false/],
    [{ mtus: '5' }, /^-o mtus: no such option; there are tsnet\.network, tsnet\.name, mtu, .*mtu/],
    [{ __proto__x: '5' }, /^-o __proto__x: no such option/],
    [{ constructor: '5' }, /^-o constructor: no such option/],
    [{ 'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1' }, /name the address with each port/],
    [
      { 'tsnet.network': 'front', mtu: '5' },
      /joins a network as it is, so there is nothing for -o mtu to say/,
    ],
  ]
  for (const [options, message] of cases)
    t.throws(() => readOptions(options), { code: 'invalid-environment', message }, JSON.stringify(options))
})
