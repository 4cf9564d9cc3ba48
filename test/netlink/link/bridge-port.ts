import t from 'tap'
import * as k from '../../../src/netlink/constants.ts'
import {
  addBridgeVlans,
  deleteBridgeVlans,
  listBridgeVlans,
  readVlans,
  setBridgePort,
} from '../../../src/netlink/link/bridge-port.ts'
import { bridgeLinkMessage, linkMessage } from '../../../src/netlink/link/tables.ts'
import { Netlink } from '../../../src/netlink/netlink.ts'
import { asked } from '../../support/asked.ts'
import { done, part, refusal, ScriptedKernel } from '../../support/scripted-kernel.ts'

const port = { index: 7, name: 'v0' }

t.test('settings of a port are changed through the port', async t => {
  const { payload, command } = asked(nl =>
    setBridgePort(nl, port, { hairpin: true, isolated: true, guard: false }),
  )
  t.strictSame(linkMessage.decode(payload).attributes.linkInfo, {
    portKind: 'bridge',
    bridgePort: { hairpin: true, guard: false, isolated: true },
  })
  t.equal(command, 'ip link set dev v0 type bridge_slave hairpin on isolated on guard off')
})

t.test('a single VLAN is one entry, a range two', async t => {
  const single = asked(nl => addBridgeVlans(nl, port, { first: 5, last: 5, pvid: true, untagged: true }))
  t.equal(single.type, k.RTM_SETLINK)
  t.match(bridgeLinkMessage.decode(single.payload), {
    header: { family: k.AF_BRIDGE, index: 7 },
    attributes: {
      spec: { vlans: [{ vid: 5, flags: k.BRIDGE_VLAN_INFO_PVID | k.BRIDGE_VLAN_INFO_UNTAGGED }] },
    },
  })
  t.equal(single.command, 'bridge vlan add dev v0 vid 5 pvid untagged')
  const range = asked(nl => deleteBridgeVlans(nl, { ...port, self: true }, { first: 5, last: 9 }))
  t.equal(range.type, k.RTM_DELLINK)
  t.strictSame(bridgeLinkMessage.decode(range.payload).attributes.spec, {
    flags: k.BRIDGE_FLAGS_SELF,
    vlans: [
      { flags: k.BRIDGE_VLAN_INFO_RANGE_BEGIN, vid: 5 },
      { flags: k.BRIDGE_VLAN_INFO_RANGE_END, vid: 9 },
    ],
  })
  t.equal(range.command, 'bridge vlan delete dev v0 vid 5-9 self')
})

t.test('a kernel without VLAN filtering says so to the caller', async t => {
  const kernel = new ScriptedKernel(request => [refusal(request, 'EOPNOTSUPP')])
  t.throws(
    () => addBridgeVlans(new Netlink(kernel), port, { first: 5, last: 5, pvid: false, untagged: false }),
    {
      code: 'EOPNOTSUPP',
      message: 'bridge vlan add dev v0 vid 5: Operation not supported (EOPNOTSUPP)',
    },
  )
})

t.test('VLANs are listed by link, ranges joined', async t => {
  const spec = {
    vlans: [
      { vid: 1, flags: k.BRIDGE_VLAN_INFO_PVID | k.BRIDGE_VLAN_INFO_UNTAGGED },
      { vid: 10, flags: k.BRIDGE_VLAN_INFO_RANGE_BEGIN },
      { vid: 20, flags: k.BRIDGE_VLAN_INFO_RANGE_END },
    ],
  }
  const kernel = new ScriptedKernel(request => [
    part(request, bridgeLinkMessage.encode({ header: { index: 7 }, attributes: { spec } })),
    part(request, bridgeLinkMessage.encode({ header: { index: 8 }, attributes: {} })),
    done(request),
  ])
  t.strictSame(
    [...listBridgeVlans(new Netlink(kernel))],
    [
      [
        7,
        [
          { first: 1, last: 1, pvid: true, untagged: true },
          { first: 10, last: 20, pvid: false, untagged: false },
        ],
      ],
      [8, []],
    ],
  )
})

t.test('the end of a range whose beginning is missing stands for itself', async t => {
  t.strictSame(readVlans([{ vid: 20, flags: k.BRIDGE_VLAN_INFO_RANGE_END }]), [
    { first: 20, last: 20, pvid: false, untagged: false },
  ])
})
