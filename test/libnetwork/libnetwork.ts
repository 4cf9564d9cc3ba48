/** The form of Docker's calls and of their answers, and what is refused; nothing of it needs a kernel. */

import t from 'tap'
import { answer } from '../../src/libnetwork/libnetwork.ts'
import { readOptions } from '../../src/networks/networks.ts'

const holder = { serve: async () => {}, release: async () => {}, troubles: async () => [] }
const world = {
  host: { confDir: '/nonexistent', path: [], cache: '/nonexistent', env: {} },
  holder,
  log: () => {},
}
const ask = async (call: string, body: object | string = '') => {
  const { status, body: text } = await answer(
    `/${call}`,
    typeof body === 'string' ? body : JSON.stringify(body),
    '1.1',
    world,
  )
  return { status, body: JSON.parse(text) as { Err?: string } }
}

t.test('the driver says what it is', async t => {
  t.same(await ask('Plugin.Activate'), { status: 200, body: { Implements: ['NetworkDriver', 'IpamDriver'] } })
  t.match(await ask('NetworkDriver.GetCapabilities', {}), { status: 200, body: { Scope: 'local' } })
  t.match(await ask('IpamDriver.GetDefaultAddressSpaces', {}), {
    body: { LocalDefaultAddressSpace: 'tsnet' },
  })
  t.match(await ask('IpamDriver.GetCapabilities', {}), { body: { RequiresMACAddress: false } })
})

t.test('what is no call, no JSON, or lacks something, is answered in the form of the protocol', async t => {
  const odd: [call: string, body: object | string, status: number, told: RegExp][] = [
    ['NetworkDriver.Explode', {}, 404, /does not know the call/],
    ['__proto__', {}, 404, /does not know the call/],
    ['NetworkDriver.Join', '{"a', 500, /the request is not JSON/],
    ['NetworkDriver.Join', '['.repeat(100_000), 500, /nested deeper/],
    ['NetworkDriver.Join', '[]', 500, /is not an object/],
    ['NetworkDriver.CreateNetwork', {}, 500, /NetworkID is missing/],
    ['NetworkDriver.CreateNetwork', { NetworkID: '../../etc' }, 500, /NetworkID: "\.\.\/\.\.\/etc" is no id/],
    ['NetworkDriver.CreateNetwork', { NetworkID: 7 }, 500, /NetworkID: 7 is not a string/],
    ['NetworkDriver.CreateEndpoint', { NetworkID: 'ab' }, 500, /there is no network ab/],
    ['IpamDriver.RequestAddress', { PoolID: 'x' }, 500, /PoolID: "x" is no pool/],
    [
      'IpamDriver.RequestAddress',
      { PoolID: ' 10.0.0.0/24 ', Address: '10.9.0.1' },
      500,
      /is not in 10\.0\.0\.0\/24/,
    ],
    ['IpamDriver.RequestPool', { Options: { size: '1' } }, 500, /--ipam-opt size: the one option is/],
  ]
  for (const [call, body, status, told] of odd) {
    const found = await ask(call, body)
    t.equal(found.status, status, `${call} ${JSON.stringify(body).slice(0, 40)}`)
    t.match(found.body.Err, told)
  }
})

t.test('before there is a network, a gateway is chosen, and what is asked for is answered', async t => {
  const gateway = { RequestAddressType: 'com.docker.network.gateway' }
  const asked = (more: object) =>
    ask('IpamDriver.RequestAddress', { PoolID: ' 10.7.0.0/24 10.7.0.128/25', ...more })
  t.match(await asked({ Options: gateway }), { body: { Address: '10.7.0.129/24' } })
  t.match(await asked({ Options: gateway, Address: '10.7.0.9' }), { body: { Address: '10.7.0.9/24' } })
  t.match(await asked({ Address: '10.7.0.8' }), { body: { Address: '10.7.0.8/24' } })
})

t.test('options of docker users are understood, or refused with their name', async t => {
  t.same(
    readOptions({
      'com.docker.network.bridge.name': 'br-x',
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.enable_ip_masquerade': 'true',
      'com.docker.network.driver.mtu': '1400',
      'tsnet.name': 'front',
      'tsnet.names': 'true',
      'tsnet.dns': '1.1.1.1 9.9.9.9',
    }),
    {
      words: {
        interfaceName: 'br-x',
        icc: false,
        masquerade: true,
        mtu: '1400',
        names: true,
        dns: ['1.1.1.1', '9.9.9.9'],
      },
      called: 'front',
    },
  )
  const routed = readOptions({ 'com.docker.network.bridge.gateway_mode_ipv4': 'routed' })
  t.match(routed.words, { direct: true, masquerade: false })
  t.throws(
    () => readOptions({ 'tsnet.nmae': 'front' }),
    /tsnet\.nmae: no such option.* did you mean "tsnet\.name"\?/,
  )
  t.throws(() => readOptions({ 'tsnet.names': 'yes please' }), /"yes please" is neither true nor false/)
  t.throws(
    () => readOptions({ 'tsnet.network': 'front', 'tsnet.mtu': '1' }),
    /nothing for -o tsnet\.mtu to say/,
  )
})
