import t from 'tap'
import { readBridge } from '../../../src/cni/config/bridge.ts'
import { Json } from '../../../src/model/json/json.ts'

const read = (config: object) => readBridge(new Json(config, ''))

t.test('the defaults are those of the reference', async t => {
  t.same(read({}), {
    name: 'cni0',
    isGateway: false,
    isDefaultGateway: false,
    forceAddress: false,
    hairpinMode: false,
    promiscMode: false,
    macspoofchk: false,
    portIsolation: false,
    enabledad: false,
    disableContainerInterface: false,
    vlanTrunk: [],
    preserveDefaultVlan: false,
  })
  t.same(read({ bridge: '', mtu: 0, vlan: 0, vlanTrunk: null, isGateway: null }), read({}))
})

t.test('every key of the reference bridge is read', async t => {
  const config = {
    bridge: 'br-web',
    mtu: 1450,
    isGateway: true,
    isDefaultGateway: true,
    forceAddress: true,
    hairpinMode: true,
    promiscMode: true,
    macspoofchk: true,
    portIsolation: true,
    enabledad: true,
    disableContainerInterface: true,
    vlan: 100,
    preserveDefaultVlan: true,
  }
  const { bridge: name, ...rest } = config
  t.same(read(config), { name, ...rest, vlanTrunk: [] })
  const shouted = Object.fromEntries(Object.entries(config).map(([key, value]) => [key.toUpperCase(), value]))
  t.same(read(shouted), read(config))
})

t.test('a default gateway is a gateway', async t => {
  t.equal(read({ isDefaultGateway: true }).isGateway, true)
})

t.test('a VLAN trunk is a list of ids and ranges', async t => {
  t.same(read({ vlanTrunk: [{ id: 101 }, { minID: 200, maxID: 210 }] }).vlanTrunk, [
    { minID: 101, maxID: 101 },
    { minID: 200, maxID: 210 },
  ])
})

t.test('a value that no bridge can have is refused with its key', async t => {
  const bad: [object, RegExp][] = [
    [{ bridge: 'br/0' }, /^bridge: "br\/0" is not an interface name/],
    [{ bridge: 'br%d' }, /^bridge: "br%d"/],
    [{ bridge: 'all' }, /^bridge: "all" is reserved/],
    [{ bridge: 7 }, /^bridge: 7 is not a string/],
    [{ mtu: -1 }, /^mtu: -1/],
    [{ mtu: 65536 }, /^mtu: 65536 is not a whole number from 0 to 65535/],
    [{ mtu: '1500' }, /^mtu: "1500"/],
    [{ isGateway: 'yes' }, /^isGateway: "yes" is neither true nor false/],
    [{ vlan: 4095 }, /^vlan: 4095/],
    [{ vlan: -1 }, /^vlan: -1/],
    [{ vlanTrunk: {} }, /^vlanTrunk: \{\} is not a list/],
    [{ vlanTrunk: [{}] }, /^vlanTrunk\[0\]: \{\} needs id, or both minID and maxID/],
    [{ vlanTrunk: [{ minID: 1 }] }, /^vlanTrunk\[0\]: \{"minID":1\} needs/],
    [{ vlanTrunk: [{ maxID: 1 }] }, /^vlanTrunk\[0\]/],
    [{ vlanTrunk: [{ id: 0 }] }, /^vlanTrunk\[0\]\.id: 0/],
    [{ vlanTrunk: [{ id: 1 }, { id: 4095 }] }, /^vlanTrunk\[1\]\.id: 4095/],
    [{ vlanTrunk: [{ id: 1, minID: 1, maxID: 2 }] }, /^vlanTrunk\[0\]: .* has both/],
  ]
  for (const [config, message] of bad) t.throws(() => read(config), { code: 'invalid-config', message })
})
