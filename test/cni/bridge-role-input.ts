/**
 * What the drop-ins bridge, host-local and loopback make of what they are given, as far as no kernel is needed:
 * VLANs of the port and of the gateway, and the numbers of their refusals.
 */

import t from 'tap'
import { planLink } from '../../src/bridge/plan/plan.ts'
import { callPlugin, type PluginCall, requestOf } from '../support/cni-call.ts'
import { fixedMacs, linkRequest } from '../support/link-plan.ts'

const hostLocal = { type: 'host-local', subnet: '10.1.2.0/24' }

const call = (config: object = {}, more: PluginCall = {}) =>
  callPlugin({
    calledAs: 'bridge',
    stdin: { cniVersion: '1.0.0', name: 'net', type: 'bridge', ...config },
    ...more,
  })

const optionsOf = async (config: object) => requestOf(await call(config)).network.bridge

/** What a configuration comes to in the kernel, with one IPv4 address. */
async function planned(config: object) {
  const leases = ['10.1.2.2/24 via 10.1.2.1']
  return planLink(linkRequest(await optionsOf(config), { leases, dropIn: true }), fixedMacs)
}

t.test('a type of ipam that is empty is none, as Go reads it', async t => {
  for (const ipam of [null, { type: '' }, { type: null }, { type: '', subnet: '10.1.2.0/24' }]) {
    const { network } = requestOf(await call({ ipam, disableContainerInterface: true }))
    t.equal(network.ipam.kind, 'none', JSON.stringify(ipam))
  }
})

t.test('vlan: the port leaves VLAN 1 for its own, unless the default is preserved', async t => {
  const vlans = async (config: object) => (await planned(config)).host.vlans
  t.same(await vlans({ vlan: 0 }), undefined)
  t.same(await vlans({ vlan: 100 }), { native: 100, trunks: [], keepDefault: false })
  t.same(await vlans({ vlan: 100, preserveDefaultVlan: true }), {
    native: 100,
    trunks: [],
    keepDefault: true,
  })
  t.match(await vlans({ vlan: 4094 }), { native: 4094 })
})

t.test('vlanTrunk: tagged beside the native VLAN, or beside VLAN 1', async t => {
  const vlanTrunk = [{ id: 101 }, { minID: 200, maxID: 210 }]
  const trunked = [
    { minID: 101, maxID: 101 },
    { minID: 200, maxID: 210 },
  ]
  t.same((await planned({ vlanTrunk })).host.vlans, { trunks: trunked, keepDefault: true })
  t.same((await planned({ vlanTrunk, vlan: 100 })).host.vlans, {
    native: 100,
    trunks: trunked,
    keepDefault: false,
  })
  t.equal((await planned({ vlanTrunk })).bridge.vlanFiltering, true)
})

t.test('vlan with a gateway: its address is on an interface of the VLAN, not on the bridge', async t => {
  const { bridge } = await planned({ bridge: 'br7', vlan: 100, isGateway: true })
  t.match(bridge, {
    name: 'br7',
    gateways: ['10.1.2.1/24'],
    gatewayVlan: { id: 100, name: 'br7.100' },
    vlanFiltering: true,
  })
})

t.test('a configuration that cannot be is refused by number, and nothing is asked for', async t => {
  const wrong: [config: object, code: number, message: RegExp, env?: Record<string, string>][] = [
    [{ disableContainerInterface: true, ipam: hostLocal }, 7, /^cannot use IPAM when Disable/],
    [{ vlan: 1.5 }, 7, /^vlan: 1\.5 is not a whole number/],
    [{ vlan: '7' }, 7, /^vlan: "7" is not a whole number/],
    [{ vlanTrunk: {} }, 7, /^vlanTrunk: {} is not a list/],
    [{ bridge: '../br' }, 7, /^bridge: "\.\.\/br"/],
    [{ mtu: -5 }, 7, /^mtu: -5/],
    [{ isGateway: 'yes' }, 7, /^isGateway: "yes" is neither true nor false/],
    [{ ipam: [] }, 7, /^ipam: \[\] is not an object/],
    [{ ipam: { type: '/bin/sh' } }, 7, /^ipam\.type: "\/bin\/sh" is not the file name of a plugin/],
    [{ ipam: { type: 'host-local' } }, 7, /^ipam\.ranges is missing/],
    [{ runtimeConfig: { mac: 'x' } }, 7, /^runtimeConfig\.mac: "x"/],
    [{ args: { cni: { mac: 'x' } } }, 7, /^args\.cni\.mac: "x"/],
    [{ ipam: hostLocal, args: { cni: { ips: ['x'] } } }, 7, /^args\.cni\.ips\[0\]: "x"/],
    [{}, 4, /^CNI_ARGS: unknown args \["A=1"\]/, { CNI_ARGS: 'A=1' }],
    [{ cniVersion: '0.2.0' }, 1, /^cannot convert: no valid IP addresses$/],
    [{ cniVersion: '3.0.0' }, 1, /^incompatible CNI versions$/],
  ]
  for (const [config, code, message, env = {}] of wrong) {
    const { json, exitCode, asked } = await call(config, { env })
    t.match({ exitCode, json }, { exitCode: 1, json: { code, msg: message } }, JSON.stringify(config))
    t.same(asked, [])
  }
})

t.test('CHECK: a prevResult that is missing or does not hold together is refused by number', async t => {
  const check = (prevResult: unknown) =>
    call({ ipam: hostLocal, prevResult }, { env: { CNI_COMMAND: 'CHECK' } })
  const wrong: [prevResult: unknown, message: RegExp][] = [
    [undefined, /^Required prevResult missing$/],
    ['{}', /^prevResult: "{}" is not an object/],
    [{ interfaces: {} }, /^prevResult\.interfaces: {} is not a list/],
    [{ interfaces: [{}] }, /^prevResult\.interfaces\[0\]\.name is missing/],
    [{ ips: [{ address: '10.1.2.2/24', interface: 0 }] }, /^prevResult\.ips\[0\]\.interface: 0 is no index/],
    [
      { interfaces: [{ name: 'a' }], ips: [{ address: '10.1.2.2/24', interface: -1 }] },
      /^prevResult\.ips\[0\]\.interface: -1/,
    ],
    [{ ips: [{ address: '10.1.2.2' }] }, /^prevResult\.ips\[0\]\.address: "10\.1\.2\.2"/],
  ]
  for (const [prevResult, message] of wrong) {
    const { json, asked } = await check(prevResult)
    t.match(json, { code: 7, msg: message })
    t.same(asked, [])
  }
})

t.test('host-local and loopback refuse by number, too', async t => {
  const dataDir = t.testdir()
  const wrong: [calledAs: string, config: object, code: number, message: RegExp][] = [
    ['host-local', {}, 7, /^ipam\.ranges is missing/],
    ['host-local', { ipam: { subnet: '10.1.2.0' } }, 7, /^ipam\.subnet: "10\.1\.2\.0"/],
    ['host-local', { ipam: { subnet: '10.1.2.1/24', dataDir } }, 7, /Network has host bits set/],
    ['host-local', { ipam: { subnet: '10.1.2.0/31', dataDir } }, 7, /too small to allocate from/],
    ['host-local', { ipam: { subnet: '10.1.2.0/24', dataDir: 'a\0b' } }, 7, /^ipam\.dataDir: "a/],
    ['host-local', { ipam: hostLocal, runtimeConfig: { ips: ['x'] } }, 7, /^runtimeConfig\.ips\[0\]: "x"/],
    [
      'host-local',
      {
        cniVersion: '0.2.0',
        ipam: { ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: '10.1.3.0/24' }]] },
      },
      1,
      /^CNI version 0\.2\.0 does not support more than 1 address per family$/,
    ],
    ['loopback', { prevResult: 'nonsense' }, 7, /^prevResult: "nonsense" is not an object/],
    [
      'loopback',
      { prevResult: { ips: [{ address: '127.0.0.1/8', interface: 3 }] } },
      7,
      /^prevResult\.ips\[0\]\.interface: 3 is no index/,
    ],
  ]
  for (const [calledAs, config, code, message] of wrong) {
    const stdin = { cniVersion: '1.0.0', name: 'net', type: calledAs, ...config }
    t.match(
      await callPlugin({ calledAs, stdin }),
      { exitCode: 1, json: { code, msg: message } },
      JSON.stringify(config),
    )
  }
})
