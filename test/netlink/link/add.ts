import t from 'tap'
import { parseIp } from '../../../src/model/address/address.ts'
import * as k from '../../../src/netlink/constants.ts'
import { addBridge, addIfb, addVeth, addVxlan } from '../../../src/netlink/link/add.ts'
import { linkMessage } from '../../../src/netlink/link/tables.ts'
import { Netlink } from '../../../src/netlink/netlink.ts'
import { captured } from '../../support/captures.ts'
import { ack, object, refusal, ScriptedKernel, type Turn } from '../../support/scripted-kernel.ts'

const yes: Turn = request => [ack(request)]
const link: Turn = request => [object(request, captured('link-bridge-port').payload), ack(request)]

/** What was asked of a kernel that agrees to everything, and the commands that do the same. */
function asked(work: (nl: Netlink) => void, ...turns: Turn[]) {
  const commands: string[] = []
  const kernel = new ScriptedKernel(...(turns.length > 0 ? turns : [yes, link]))
  work(new Netlink(kernel, command => commands.push(command)))
  const requests = kernel.requests.map(({ type, flags, payload }) => ({
    type,
    flags,
    ...linkMessage.decode(payload),
  }))
  return { requests, commands }
}

t.test('a bridge is made with all that it is given in one request', async t => {
  const { requests, commands } = asked(nl =>
    addBridge(nl, {
      name: 'br0',
      mac: '02:00:00:00:00:01',
      mtu: 1400,
      group: 7,
      up: true,
      bridge: { vlanFiltering: true },
    }),
  )
  t.match(requests[0], {
    type: k.RTM_NEWLINK,
    flags: k.NLM_F_REQUEST | k.NLM_F_ACK | k.NLM_F_CREATE | k.NLM_F_EXCL,
    header: { flags: k.IFF_UP, change: k.IFF_UP },
    attributes: {
      name: 'br0',
      mac: '02:00:00:00:00:01',
      mtu: 1400,
      group: 7,
      linkInfo: { kind: 'bridge', bridge: { vlanFiltering: true } },
    },
  })
  t.strictSame(commands, [
    'ip link add name br0 address 02:00:00:00:00:01 mtu 1400 group 7 up type bridge vlan_filtering 1',
  ])
})

t.test('the far end of a veth pair is made in its namespace', async t => {
  const { requests, commands } = asked(nl =>
    addVeth(nl, {
      name: 'v0',
      master: 2,
      peer: { name: 'eth0', mac: '02:00:00:00:00:09', mtu: 1300, netnsFd: 19 },
    }),
  )
  t.match(requests[0]?.attributes, {
    name: 'v0',
    master: 2,
    linkInfo: {
      kind: 'veth',
      veth: { peer: { attributes: { name: 'eth0', mac: '02:00:00:00:00:09', mtu: 1300, netnsFd: 19 } } },
    },
  })
  t.strictSame(commands, [
    `ip link add name v0 master if2 type veth peer name eth0 address 02:00:00:00:00:09 mtu 1300 netns /proc/${process.pid}/fd/19`,
  ])
})

t.test('what the kernel takes of existing links only follows in a second request', async t => {
  const { commands } = asked(
    nl => addVeth(nl, { name: 'v0', alias: 'web', port: { hairpin: true }, peer: { name: 'p0' } }),
    yes,
    link,
    yes,
    link,
  )
  t.strictSame(commands, [
    'ip link add name v0 type veth peer name p0',
    'ip link set dev v0 alias web type bridge_slave hairpin on',
  ])
})

t.test('a link that does not get all it was to have is deleted again', async t => {
  const commands: string[] = []
  const kernel = new ScriptedKernel(yes, link, request => [refusal(request, 'EOPNOTSUPP', 'no port')], yes)
  const nl = new Netlink(kernel, command => commands.push(command))
  t.throws(() => addIfb(nl, { name: 'v0', port: { isolated: true } }), {
    code: 'EOPNOTSUPP',
    message: /no port/,
  })
  t.equal(commands.at(-1), 'ip link delete dev v0')
})

t.test('a VXLAN has one end or a group of them, of either family', async t => {
  const one = asked(nl =>
    addVxlan(nl, {
      name: 'vx0',
      vxlan: {
        id: 5,
        local: parseIp('10.0.0.1'),
        remote: parseIp('10.0.0.2'),
        udpPort: 4789,
        learning: false,
      },
    }),
  )
  t.strictSame(one.requests[0]?.attributes.linkInfo, {
    kind: 'vxlan',
    vxlan: { id: 5, group: '10.0.0.2', local: '10.0.0.1', learning: false, port: 4789 },
  })
  t.strictSame(one.commands, [
    'ip link add name vx0 type vxlan id 5 local 10.0.0.1 remote 10.0.0.2 dstport 4789 nolearning',
  ])
  const many = asked(nl =>
    addVxlan(nl, { name: 'vx0', vxlan: { id: 5, remote: parseIp('ff05::5'), device: 2, ttl: 3 } }),
  )
  t.strictSame(many.requests[0]?.attributes.linkInfo, {
    kind: 'vxlan',
    vxlan: { id: 5, device: 2, ttl: 3, group6: 'ff05::5' },
  })
  t.strictSame(many.commands, ['ip link add name vx0 type vxlan id 5 group ff05::5 dev if2 ttl 3'])
})

t.test("the kernel's numbering of names is refused before anything is asked", async t => {
  const kernel = new ScriptedKernel()
  t.throws(() => addIfb(new Netlink(kernel), { name: 'ifb%d' }), RangeError)
  t.equal(kernel.requests.length, 0)
})
