/** Many files of iptables at once in one process: joined, and yet as if one came after the other. */

import t from 'tap'
import type { Cidr } from '../../src/model/address/address.ts'
import { intentOf, iptablesLegacy, iptablesNft, NatSite, publish } from '../support/nat-site.ts'

const CROWD = 30

t.setTimeout(600_000)

/** A chain of its own in two tables, filled with something that takes extensions. */
const fileOf = (i: number, broken = ''): string =>
  ['raw', 'nat']
    .map(table => {
      const rule = `-A C${i} -s 10.0.0.${i}/32 -p tcp -m tcp --dport ${1000 + i} -m comment --comment "c${i}" -j RETURN`
      return `*${table}\n-N C${i}\n${rule}\n${broken.startsWith(table) ? `${broken.slice(table.length + 1)}\n` : ''}COMMIT\n`
    })
    .join('')

for (const variant of [iptablesNft, iptablesLegacy]) {
  t.test(`${variant.name}: of many files at once only the broken fail, with their own messages`, async t => {
    const files = Array.from({ length: CROWD }, (_, i) => fileOf(i))
    files[7] = fileOf(7, 'nat -D C7 -j ACCEPT')
    files[20] = fileOf(20, 'raw -A C20 -p tcp --dport nowhere -j DROP')
    files[21] = fileOf(21, 'nat -X NOBODY')
    const [together, inTurn] = await Promise.all([NatSite.open(variant), NatSite.open(variant)])
    t.teardown(together.close)
    t.teardown(inTurn.close)
    const said = await together.script<(string | null)[]>('ipt-crowd', [], files)
    const expected: (string | null)[] = []
    for (const stdin of files) {
      const command = ['iptables-restore', '--noflush', '--verbose']
      const { code, stderr } = await inTurn.host.run(...command, { stdin, mayFail: true, env: variant.env })
      expected.push(code === 0 ? null : stderr)
    }
    t.strictSame(
      expected.flatMap((text, i) => (text === null ? [] : [i])),
      [7, 20, 21],
    )
    t.strictSame(said, expected)
    t.equal(await together.rules(), await inTurn.rules())
  })

  t.test(`${variant.name}: many attachments come and go at once`, async t => {
    const site = await NatSite.open(variant)
    t.teardown(site.close)
    await site.primeTables()
    const before = await site.rules()
    const intents = Array.from({ length: CROWD }, (_, i) =>
      intentOf({
        owner: `00000000000001${(16 + i).toString(16)}`,
        addresses: [`10.1.0.${20 + i}/24` as Cidr, `fd01::${20 + i}/64` as Cidr],
        ports: [publish(8000 + i)],
      }),
    )
    const { backend } = variant
    const installed = await site.together(...intents.map(intent => ['install', backend, intent] as const))
    t.strictSame(
      installed.flatMap(({ error }) => error ?? []),
      [],
    )
    const all = await site.rules()
    await site.all(
      ...intents.map(intent => ['withdraw', backend, intent.owner, { intent, last: true }] as const),
    )
    t.equal(await site.rules(), before, 'one after the other they go')
    await site.all(...intents.map(intent => ['install', backend, intent] as const))
    t.same((await site.rules()).split('\n').toSorted(), all.split('\n').toSorted(), 'the same rules')
    const checked = await site.all(
      ...intents.slice(0, 3).map(intent => ['verifyRules', backend, intent] as const),
    )
    t.strictSame(
      checked.map(({ value }) => value),
      [[], [], []],
    )
    const last = { last: true }
    await site.together(...intents.map(({ owner }) => ['withdraw', backend, owner, last] as const))
    t.equal(await site.rules(), before, 'all at once they go')
  })
}
