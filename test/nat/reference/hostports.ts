/**
 * The documents of the drop-in plugin portmap, as pages to read (test/golden/nat/hostport-*), and the
 * reference plugin's own cases about its rules.
 */

import t from 'tap'
import type { Cidr, Ip } from '../../../src/model/address/address.ts'
import { chainNameOf, type HostPort, type HostPortIntent } from '../../../src/model/chained.ts'
import { describePorts } from '../../../src/nat/reference/hostports.ts'
import { containerIn, portSheets } from '../../../src/nat/reference/hostports-iptables.ts'
import { completionOf, readTable } from '../../../src/nat/reference/reference.ts'
import { golden } from '../../support/golden.ts'

const port = (hostPort: number, containerPort: number, more: Partial<HostPort> = {}): HostPort => ({
  protocol: 'tcp',
  hostPort,
  containerPort,
  ...more,
})

const intent = (changes: Partial<HostPortIntent> = {}): HostPortIntent => ({
  network: 'front',
  containerId: 'web-1',
  addresses: ['10.0.0.2/24' as Cidr],
  ports: [port(8080, 80)],
  snat: true,
  masqAll: false,
  mark: { bit: 13 },
  conditions: { 4: [], 6: [] },
  ...changes,
})

const both = ['10.0.0.2/24' as Cidr, '2001:db8::2/64' as Cidr]

const pages: Record<string, [what: string, intent: HostPortIntent]> = {
  'hostport-8080': ['Port 8080 leads to port 80 of a container.', intent()],
  'hostport-mixed': [
    'Both families, both protocols, ports of one address and of every address of one family.',
    intent({
      addresses: both,
      ports: [
        port(8080, 80),
        port(8081, 80),
        port(8080, 81, { protocol: 'udp' }),
        port(8083, 83, { hostIp: '192.168.0.2' as Ip }),
        port(8084, 84, { hostIp: '0.0.0.0' as Ip }),
        port(8085, 85, { hostIp: '2001:db8:a::1' as Ip }),
        port(8086, 86, { hostIp: '::' as Ip }),
      ],
    }),
  ],
  'hostport-no-snat': ['Nothing is masqueraded.', intent({ snat: false })],
  'hostport-masq-all': [
    'Everything that comes in gets the address of the host.',
    intent({ addresses: both, masqAll: true }),
  ],
}

for (const [name, [what, intent]] of Object.entries(pages)) {
  for (const [backend, ending] of [
    ['nftables', 'nft'],
    ['iptables', 'ipt'],
  ] as const) {
    t.test(`${name} with ${backend}`, async t => {
      const file = `nat/${name}.${ending}`
      t.equal(
        `# ${what}\n\n${describePorts({ backend, intent })}`,
        golden(file, `# ${what}\n\n${describePorts({ backend, intent })}`),
      )
    })
  }
}

const natOf = (intent: HostPortIntent, address = 0) =>
  portSheets(intent, intent.addresses[address] as Cidr).find(({ table }) => table === 'nat')

t.test("a container's chain is named as the reference names it", async t => {
  const id =
    'icee6giejonei6sohng6ahngee7laquohquee9shiGo7fohferakah3Feiyoolu2pei7ciPhoh7shaoX6vai3vuf0ahfaeng8yohb9ceu0daez5hashee8ooYai5wa3y'
  t.equal(chainNameOf('CNI-DN-', 'testNetName', id), 'CNI-DN-bfd599665540dd91d5d28')
  t.equal(chainNameOf('CNI-DN-', 'test', id), 'CNI-DN-67e92b96e692a494b6b85')
})

t.test('an external chain marks, and none of ours is made for it', async t => {
  const sheet = natOf(intent({ mark: { chain: 'PLZ-SET-MARK' } }))
  const chain = chainNameOf('CNI-DN-', 'front', 'web-1')
  t.same(sheet?.chains, ['CNI-HOSTPORT-DNAT'])
  t.same(sheet?.rules.slice(0, 3), [
    `${chain} -s 10.0.0.0/24 -p tcp -m tcp --dport 8080 -j PLZ-SET-MARK`,
    `${chain} -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j PLZ-SET-MARK`,
    `${chain} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80`,
  ])
})

t.test('the mark is the bit that was asked for', async t => {
  const shared = natOf(intent({ mark: { bit: 5 } }))?.shared.map(({ rule }) => rule)
  t.match(shared?.[0], /--set-xmark 0x20\/0x20$/)
  t.match(shared?.[1], /--mark 0x20\/0x20 -j MASQUERADE$/)
  t.match(natOf(intent({ mark: { bit: 31 } }))?.shared[0]?.rule, /0x80000000\/0x80000000$/)
})

t.test('conditions stand at the rules that lead to the chain, of their family alone', async t => {
  const conditions = { 4: ['-s', '192.0.2.0/24'], 6: ['-m', 'comment', '--comment', 'a "b" c'] }
  const asked = intent({ addresses: both, conditions })
  t.match(natOf(asked)?.rules.at(-1), /--dports 8080 -s 192\.0\.2\.0\/24 -j CNI-DN-/)
  t.match(natOf(asked, 1)?.rules.at(-1), /--dports 8080 -m comment --comment "a \\"b\\" c" -j CNI-DN-/)
})

t.test('fifteen ports stand in one rule that leads to the chain', async t => {
  const rules = natOf(intent({ ports: Array.from({ length: 31 }, (_, i) => port(8000 + i, 80)) }))?.rules
  const entries = rules?.filter(rule => rule.startsWith('CNI-HOSTPORT-DNAT')) ?? []
  t.same(
    entries.map(rule => /--dports (\S+)/.exec(rule)?.[1]?.split(',').length),
    [15, 15, 1],
  )
})

t.test('a comment is as long as iptables keeps it, and tells whose chain it is', async t => {
  const names = { network: 'n'.repeat(128), containerId: 'c'.repeat(128) }
  const long = natOf(intent(names))?.rules.at(-1) ?? ''
  const comment = /--comment "((?:\\.|[^"])*)"/.exec(long)?.[1]?.replaceAll('\\', '')
  t.equal(comment?.length, 255)
  t.equal(containerIn(long), undefined)
  const rule = natOf(intent())?.rules.at(-1) ?? ''
  t.match(containerIn(rule), { network: 'front', containerId: 'web-1' })
})

t.test('a chain that is there already is emptied and filled anew', async t => {
  const sheet = natOf(intent())
  if (sheet === undefined) throw new Error('no sheet')
  const [own] = sheet.own
  const stale = [
    `${own} -p tcp -m tcp --dport 1 -j DNAT --to-destination 10.0.0.9:1`,
    `CNI-HOSTPORT-DNAT -p tcp -j ${own}`,
  ]
  const text = [
    ...[...sheet.chains, ...sheet.own].map(chain => `:${chain} - [0:0]`),
    ...[...sheet.shared.map(({ rule }) => rule), ...stale].map(rule => `-A ${rule}`),
  ].join('\n')
  t.same(completionOf(sheet, readTable(text)), [
    `-D ${stale[1]}`,
    `-F ${own}`,
    ...sheet.rules.map(rule => `-A ${rule}`),
  ])
})

t.test('what is all there needs nothing', async t => {
  const sheet = natOf(intent())
  if (sheet === undefined) throw new Error('no sheet')
  const text = [
    ...[...sheet.chains, ...sheet.own].map(chain => `:${chain} - [0:0]`),
    ...[...sheet.shared.map(({ rule }) => rule), ...sheet.rules].map(rule => `-A ${rule}`),
  ].join('\n')
  t.same(completionOf(sheet, readTable(text)), [])
})

t.test('rules of another attachment of the same container stay in the chain', async t => {
  const sheet = natOf(intent())
  const other = natOf(intent({ addresses: ['10.9.0.2/24' as Cidr], ports: [port(9090, 90)] }))
  if (sheet === undefined || other === undefined) throw new Error('no sheet')
  const text = [
    ...[...other.chains, ...other.own].map(chain => `:${chain} - [0:0]`),
    ...[...other.shared.map(({ rule }) => rule), ...other.rules].map(rule => `-A ${rule}`),
  ].join('\n')
  t.same(
    completionOf(sheet, readTable(text), other.rules),
    sheet.rules.map(rule => `-A ${rule}`),
  )
})
