/** Whatever an intent is made of, a backend prints its own words, numbers, addresses and the bridge's name. */

import fc from 'fast-check'
import t from 'tap'
import { TsnetError } from '../../src/model/errors.ts'
import type { NatBackend, NatIntent } from '../../src/model/network.ts'
import { describeRules } from '../../src/nat/nat.ts'

const nasty = fc.oneof(
  fc.constantFrom(
    'tcp dport 1 accept\nflush ruleset\n',
    '"\nadd table ip x\n#',
    '-j ACCEPT',
    '; rm -rf /',
    '$(id)',
    'a\0b',
    '\u2028',
    '*',
    'br+',
    '!',
    '10.0.0.1\n',
    '1.2.3.4/24 accept',
    '::1%eth0',
    'COMMIT\n*nat',
  ),
  fc.string(),
  fc.string({ unit: 'binary' }),
)
const good = <T>(...values: T[]) => fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...values) }, nasty)
const number = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 65535 }) },
  fc.double(),
  fc.integer(),
  nasty,
)

const hostile = fc.record({
  owner: good('0123456789abcdef'),
  bridge: good('tsnet0', 'br-1.2_3'),
  addresses: fc.array(good('10.1.0.2/24', 'fd00::2/64', '10.2.0.2/16', '::ffff:1.2.3.4/128'), {
    maxLength: 3,
  }),
  ipMasq: fc.boolean(),
  guardDirect: fc.boolean(),
  otherAddresses: fc.array(good('10.3.0.2', 'fd03::2'), { maxLength: 2 }),
  bridgeServed: fc.boolean(),
  ports: fc.array(
    fc.record(
      {
        protocol: good('tcp', 'udp', 'sctp'),
        hostIp: good('192.0.2.1', '127.0.0.1', '2001:db8::1', '0.0.0.0', '::'),
        hostPort: number,
        containerPort: number,
        count: fc.oneof(
          { weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) },
          number.filter(n => !(Number(n) > 100)),
        ),
      },
      { requiredKeys: ['protocol', 'hostPort', 'containerPort', 'count'] },
    ),
    { maxLength: 3 },
  ),
})

const ADDRESS = String.raw`(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)`
const NAME = '[A-Za-z0-9_.][A-Za-z0-9_.-]{0,14}'
const COMMENT = '"tsnet:0123456789abcdef"'

const NFT_KEY = String.raw`(?:${ADDRESS}|\d+|tcp|udp|sctp|0x01234567 \. 0x89abcdef|"${NAME}")`
const NFT_ELEMENT = String.raw`${NFT_KEY}(?: \. ${NFT_KEY})* comment ${COMMENT}(?: : (?:jump \w+|${ADDRESS} \. \d+))?`
const NFT_ELEMENTS = new RegExp(
  String.raw`^create element inet tsnet [a-z_]+[46]?(?:_\w+)? \{ ${NFT_ELEMENT}(?:, ${NFT_ELEMENT})* \}$`,
)
// The rest of the document is our own text; what is in it of an intent is the length of a prefix.
const NFT_BASE = /^(?:$|#|(?:add|flush) (?:table|map|set|chain|rule) inet tsnet)/
const NFT_CHARACTERS = /^[ -~]*$/

const IPT_RULE = new RegExp(
  String.raw`^-A TSNET-[A-Z]+(?:-[0-9a-f]{2})?(?: !)?(?: (?:!|-[sd] ${ADDRESS}/\d{1,3}|-[io] ${NAME}|-p (?:tcp|udp|sctp)(?: -m (?:tcp|udp|sctp) --dport \d+(?::\d+)?)?|-m addrtype --dst-type LOCAL|-m conntrack(?: !)? --ctstate [A-Z,]+|-m comment --comment ${COMMENT}))* -j (?:ACCEPT|DROP|RETURN|MASQUERADE|DNAT --to-destination \[?${ADDRESS}\]?(?::\d+(?:-\d+/\d+)?)?)$`,
)
const IPT_FRAME =
  /^(?:$|# ip6?tables-restore --noflush -w 60|\*(?:raw|mangle|filter|nat)|COMMIT|-N TSNET-[A-Z]+(?:-[0-9a-f]{2})?|-A (?:(?:PREROUTING|OUTPUT|POSTROUTING|FORWARD)(?: -m addrtype --dst-type LOCAL| -m conntrack --ctstate INVALID)? -j TSNET-[A-Z]+|(TSNET-[A-Z]+) -j \1-[0-9a-f]{2}))$/

const grammars: Record<NatBackend, (line: string) => boolean> = {
  nftables: line => NFT_CHARACTERS.test(line) && (NFT_ELEMENTS.test(line) || NFT_BASE.test(line)),
  iptables: line => IPT_RULE.test(line) || IPT_FRAME.test(line),
}

/** A tenth of them are valid. */
const RUNS = 1_200

for (const backend of ['nftables', 'iptables'] as const) {
  t.test(`${backend}: no intent prints anything outside the grammar`, async t => {
    let printed = 0
    fc.assert(
      fc.property(hostile, values => {
        let text: string
        try {
          text = describeRules(backend, values as unknown as NatIntent)
        } catch (thrown) {
          if (thrown instanceof TsnetError) return
          throw thrown
        }
        printed++
        const wrong = text.split('\n').find(line => !grammars[backend](line))
        if (wrong !== undefined) throw new Error(`not in the grammar: ${JSON.stringify(wrong)}`)
      }),
      { numRuns: RUNS },
    )
    t.ok(printed > 30, `${printed} of ${RUNS} intents were valid`)
  })
}
