/** Which of the kernel's messages may mean that something of ours is gone. */

import t from 'tap'
import * as nft from '../../../src/netfilter/constants.ts'
import { chainMessage, ruleMessage, tableMessage } from '../../../src/netfilter/tables.ts'
import * as k from '../../../src/netlink/constants.ts'
import { linkMessage } from '../../../src/netlink/link/tables.ts'
import type { Message } from '../../../src/netlink/message.ts'
import { noticeOf, RuleNotices } from '../../../src/network/reconcile/notices.ts'

const message = (type: number, payload: Uint8Array): Message => ({
  type,
  flags: 0,
  sequence: 0,
  port: 0,
  payload,
})

/** Of a transaction of its own. */
const concernsRules = (one: Message) => new RuleNotices().concernsRules(one)

const table = (name: string) => tableMessage.encode({ header: { family: 'inet' }, attributes: { name } })
const chain = (name: string, chain: string) =>
  chainMessage.encode({ header: { family: 'ip' }, attributes: { table: name, name: chain } })

t.test('of rules, what went and has our name, and a policy of FORWARD', async t => {
  t.ok(concernsRules(message(nft.NFT_MSG_DELTABLE, table('tsnet'))))
  t.ok(concernsRules(message(nft.NFT_MSG_DELCHAIN, chain('nat', 'TSNET-DNAT'))))
  t.ok(concernsRules(message(nft.NFT_MSG_NEWCHAIN, chain('filter', 'FORWARD'))))
  t.notOk(concernsRules(message(nft.NFT_MSG_NEWTABLE, table('tsnet'))), 'what comes')
  t.notOk(concernsRules(message(nft.NFT_MSG_DELTABLE, table('docker'))), 'what is somebody else’s')
  t.notOk(concernsRules(message(nft.NFT_MSG_NEWCHAIN, chain('filter', 'DOCKER'))))
})

t.test('a rule, or a policy, that comes to INPUT', async t => {
  const rule = (name: string, chain: string) =>
    ruleMessage.encode({ header: { family: 'ip' }, attributes: { table: name, chain } })
  t.ok(concernsRules(message(nft.NFT_MSG_NEWRULE, rule('filter', 'INPUT'))))
  t.ok(concernsRules(message(nft.NFT_MSG_NEWCHAIN, chain('filter', 'INPUT'))))
  t.notOk(concernsRules(message(nft.NFT_MSG_NEWRULE, rule('filter', 'FORWARD'))))
  t.notOk(concernsRules(message(nft.NFT_MSG_NEWRULE, rule('filter', 'TSNET-INPUT'))), 'ours')
})

t.test('a rule that comes to our table, or to a guard, that was there before', async t => {
  const rule = (table: string) =>
    message(
      nft.NFT_MSG_NEWRULE,
      ruleMessage.encode({ header: { family: 'inet' }, attributes: { table, chain: 'container' } }),
    )
  const generation = message(nft.NFT_MSG_NEWGEN, Uint8Array.of(0, 0, 0, 1))
  const [guard, other] = ['tsnet-00000000000000a1', 'tsnet-00000000000000a2']
  const notices = new RuleNotices()
  for (const name of ['tsnet', guard]) {
    notices.concernsRules(message(nft.NFT_MSG_NEWTABLE, table(name)))
    t.notOk(notices.concernsRules(rule(name)), 'as it is made')
    t.ok(notices.concernsRules(rule(other)), 'beside one that is made')
    notices.concernsRules(generation)
    t.ok(notices.concernsRules(rule(name)), 'later')
  }
  t.notOk(notices.concernsRules(rule('tsnetwork')), 'of somebody else')
})

t.test('our table put to sleep, and a policy of ours', async t => {
  const asleep = { name: 'tsnet', flags: nft.NFT_TABLE_F_DORMANT }
  const table = tableMessage.encode({ header: { family: 'inet' }, attributes: asleep })
  t.ok(concernsRules(message(nft.NFT_MSG_NEWTABLE, table)))
  const made = (policy: 'accept' | 'drop') =>
    chainMessage.encode({
      header: { family: 'inet' },
      attributes: { table: 'tsnet', name: 'filter_forward', policy },
    })
  t.ok(concernsRules(message(nft.NFT_MSG_NEWCHAIN, made('drop'))))
  t.notOk(concernsRules(message(nft.NFT_MSG_NEWCHAIN, made('accept'))), 'as it is made')
})

t.test('a guard put to sleep, and a policy of one', async t => {
  const guard = 'tsnet-00000000000000a1'
  for (const [family, name] of [
    ['netdev', guard],
    ['bridge', 'nat'],
  ] as const) {
    const table = (flags: number) => tableMessage.encode({ header: { family }, attributes: { name, flags } })
    t.ok(concernsRules(message(nft.NFT_MSG_NEWTABLE, table(nft.NFT_TABLE_F_DORMANT))))
    t.notOk(concernsRules(message(nft.NFT_MSG_NEWTABLE, table(0))), 'as it is made')
  }
  const made = (policy: 'accept' | 'drop') =>
    chainMessage.encode({
      header: { family: 'netdev' },
      attributes: { table: guard, name: 'container', policy },
    })
  t.ok(concernsRules(message(nft.NFT_MSG_NEWCHAIN, made('accept'))))
  t.notOk(concernsRules(message(nft.NFT_MSG_NEWCHAIN, made('drop'))), 'as it is made')
})

const UP = k.IFF_UP
const link = (family: number, flags: number, attributes: { name: string; alias?: string; kind?: string }) => {
  const { kind, ...rest } = attributes
  return linkMessage.encode({
    header: { family, index: 7, flags },
    attributes: { ...rest, linkInfo: kind === undefined ? undefined : { kind } },
  })
}

t.test(
  'of links, bridges that went, ports that left or are down; not what is made or goes by itself',
  async t => {
    const cases: [string, number, Uint8Array, ReturnType<typeof noticeOf>][] = [
      [
        'a bridge',
        k.RTM_DELLINK,
        link(0, 0, { name: 'br0', kind: 'bridge' }),
        { what: 'bridge', name: 'br0' },
      ],
      [
        'a VLAN of one',
        k.RTM_DELLINK,
        link(0, 0, { name: 'br0.7', kind: 'vlan' }),
        { what: 'bridge', name: 'br0' },
      ],
      ['a veth', k.RTM_DELLINK, link(0, 0, { name: 'veth1', kind: 'veth' }), undefined],
      ['a port', k.RTM_DELLINK, link(k.AF_BRIDGE, UP, { name: 'veth1' }), { what: 'port', index: 7 }],
      [
        'a port’s setting',
        k.RTM_NEWLINK,
        link(k.AF_BRIDGE, UP, { name: 'veth1' }),
        { what: 'port-settings', index: 7 },
      ],
      [
        'a port down',
        k.RTM_NEWLINK,
        link(0, 0, { name: 'veth1', alias: 'tsnet:00' }),
        { what: 'port', index: 7 },
      ],
      ['somebody’s link down', k.RTM_NEWLINK, link(0, 0, { name: 'eth9' }), undefined],
      [
        'our bridge down',
        k.RTM_NEWLINK,
        link(0, 0, { name: 'br0', alias: 'tsnet', kind: 'bridge' }),
        { what: 'bridge', name: 'br0' },
      ],
      ['a link up', k.RTM_NEWLINK, link(0, UP, { name: 'veth1', alias: 'tsnet:00' }), undefined],
    ]
    for (const [what, type, payload, notice] of cases)
      t.strictSame(noticeOf(message(type, payload)), notice, what)
  },
)

/** struct netconfmsg and attributes of 32 bits. */
function netconf(values: Record<number, number>): Uint8Array {
  const entries = Object.entries(values)
  const bytes = new Uint8Array(4 + 8 * entries.length)
  const view = new DataView(bytes.buffer)
  for (const [i, [type, value]] of entries.entries()) {
    view.setUint16(4 + 8 * i, 8, true)
    view.setUint16(6 + 8 * i, Number(type), true)
    view.setInt32(8 + 8 * i, value, true)
  }
  return bytes
}

t.test('of settings, forwarding of all that is off, and reverse path filtering by itself', async t => {
  const [index, forwarding, rpFilter] = [1, 2, 3]
  const concerns = (values: Record<number, number>) => noticeOf(message(k.RTM_NEWNETCONF, netconf(values)))
  t.strictSame(concerns({ [index]: -1, [forwarding]: 0 }), { what: 'settings' })
  t.equal(concerns({ [index]: -1, [forwarding]: 1 }), undefined)
  t.equal(concerns({ [index]: 7, [forwarding]: 0 }), undefined)
  t.strictSame(concerns({ [index]: 7, [rpFilter]: 1 }), { what: 'settings' })
  t.equal(concerns({ [index]: 7, [forwarding]: 1, [rpFilter]: 1 }), undefined, 'a new link tells all')
})
