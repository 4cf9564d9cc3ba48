/** VLANs, with kernels that can filter them and kernels that cannot. */

import t from 'tap'
import type { GatewayVlan } from '../../src/bridge/plan/plan.ts'
import {
  ensureVlanFiltering,
  ensureVlanInterface,
  removeVlanInterfaces,
  setPortVlans,
} from '../../src/bridge/vlan.ts'
import { type Link, readLink } from '../../src/netlink/link/link.ts'
import { linkMessage } from '../../src/netlink/link/tables.ts'
import { refusal } from '../support/scripted-kernel.ts'
import { agrees, lists, scriptedSide, shows } from '../support/scripted-side.ts'

const bridgeWith = (vlanFiltering: boolean) => ({
  name: 'cni0',
  linkInfo: { kind: 'bridge', bridge: { vlanFiltering } },
})
const link = (attributes: Parameters<typeof linkMessage.encode>[0]['attributes']): Link =>
  readLink({ payload: linkMessage.encode({ header: { index: 2 }, attributes }) })
const bridge = link(bridgeWith(false))

t.test('VLAN filtering is switched on where it is off', async t => {
  const { side, commands } = scriptedSide(agrees, shows(2, bridgeWith(true)))
  ensureVlanFiltering(side, bridge, true)
  t.same(commands, ['ip link set dev cni0 type bridge vlan_filtering 1'])
  const already = scriptedSide()
  ensureVlanFiltering(already.side, link(bridgeWith(true)), false)
  t.same(already.commands, [])
})

t.test('a kernel that refuses VLAN filtering, or takes the wish and ignores it, is named', async t => {
  const expected = { code: 'missing', message: /^vlan: .* "cni0".* CONFIG_BRIDGE_VLAN_FILTERING$/ }
  const refusing = scriptedSide(request => [refusal(request, 'EOPNOTSUPP')])
  t.throws(() => ensureVlanFiltering(refusing.side, bridge, true), expected)
  const ignoring = scriptedSide(agrees, shows(2, bridgeWith(false)))
  t.throws(() => ensureVlanFiltering(ignoring.side, bridge, true), expected)
})

t.test('a bridge of somebody else is not made to filter', async t => {
  const { side, kernel } = scriptedSide()
  t.throws(() => ensureVlanFiltering(side, bridge, false), {
    code: 'conflict',
    details: 'ip link set dev cni0 type bridge vlan_filtering 1',
  })
  t.equal(kernel.requests.length, 0)
})

t.test('a port leaves VLAN 1 and joins its own', async t => {
  const port = { index: 7, name: 'veth0' }
  const trunks = [
    { minID: 101, maxID: 101 },
    { minID: 200, maxID: 210 },
  ]
  const all = scriptedSide(agrees, agrees, agrees, agrees)
  setPortVlans(all.side.nl, port, 'cni0', { native: 100, trunks, keepDefault: false })
  t.same(all.commands, [
    'bridge vlan delete dev veth0 vid 1',
    'bridge vlan add dev veth0 vid 100 pvid untagged',
    'bridge vlan add dev veth0 vid 101',
    'bridge vlan add dev veth0 vid 200-210',
  ])
  const onlyTrunks = scriptedSide(agrees, agrees)
  setPortVlans(onlyTrunks.side.nl, port, 'cni0', { trunks, keepDefault: true })
  t.same(onlyTrunks.commands, ['bridge vlan add dev veth0 vid 101', 'bridge vlan add dev veth0 vid 200-210'])
  const refusing = scriptedSide(request => [refusal(request, 'EOPNOTSUPP')])
  t.throws(() => setPortVlans(refusing.side.nl, port, 'cni0', { native: 5, trunks: [], keepDefault: true }), {
    code: 'missing',
    message: /CONFIG_BRIDGE_VLAN_FILTERING/,
  })
})

const gatewayVlan: GatewayVlan = { id: 100, name: 'cni0.100', settings: [] }
const vlanLink = { name: 'cni0.100', link: 2, linkInfo: { kind: 'vlan', vlan: { id: 100 } } }
const absent = (request: Parameters<typeof refusal>[0]) => [refusal(request, 'ENODEV')]

t.test('the gateway of a VLAN gets an interface, which goes again when something fails', async t => {
  const { side, commands } = scriptedSide(absent, agrees, agrees, shows(9, vlanLink), agrees, agrees, agrees)
  t.equal(ensureVlanInterface(side, bridge, gatewayVlan).index, 9)
  t.same(await side.undo.rollback(), [])
  t.same(commands, [
    'bridge vlan add dev cni0 vid 100 self',
    'ip link add name cni0.100 link cni0 type vlan id 100',
    'ip link set dev cni0.100 up alias tsnet',
    'ip link delete dev cni0.100',
    'bridge vlan delete dev cni0 vid 100 self',
  ])
})

t.test('a kernel without VLAN links is named', async t => {
  const { side } = scriptedSide(absent, agrees, request => [
    refusal(request, 'EOPNOTSUPP', 'Unknown device type'),
  ])
  t.throws(() => ensureVlanInterface(side, bridge, gatewayVlan), {
    code: 'missing',
    message: /CONFIG_VLAN_8021Q/,
  })
})

t.test("an interface of the VLAN's name is used if it is that, else refused", async t => {
  t.equal(ensureVlanInterface(scriptedSide(shows(9, vlanLink)).side, bridge, gatewayVlan).index, 9)
  for (const other of [
    { ...vlanLink, linkInfo: { kind: 'ifb' } },
    { ...vlanLink, link: 3 },
    { ...vlanLink, linkInfo: { kind: 'vlan', vlan: { id: 101 } } },
  ]) {
    const { side } = scriptedSide(shows(9, other))
    t.throws(() => ensureVlanInterface(side, bridge, gatewayVlan), {
      code: 'conflict',
      message: /"cni0.100"/,
    })
  }
})

t.test('a bridge that stays loses the VLAN interfaces that we made on it, and no others', async t => {
  const { side, commands } = scriptedSide(
    lists(
      { index: 9, attributes: { ...vlanLink, alias: 'tsnet' } },
      { index: 10, attributes: { ...vlanLink, name: 'cni0.101' } },
      { index: 11, attributes: { ...vlanLink, name: 'x.5', link: 3, alias: 'tsnet' } },
    ),
    agrees,
    agrees,
  )
  removeVlanInterfaces(side.nl, bridge)
  t.same(commands, ['ip link delete dev cni0.100', 'bridge vlan delete dev cni0 vid 100 self'])
})
