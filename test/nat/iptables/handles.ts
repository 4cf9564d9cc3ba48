/** Looking and deleting by handle beside others who change the same chains, on a kernel of a few rules. */

import t from 'tap'
import type { Cidr } from '../../../src/model/address/address.ts'
import { bucketsOf, intoBuckets } from '../../../src/nat/iptables/buckets.ts'
import { tablesOf } from '../../../src/nat/iptables/document.ts'
import { isCountRight, ownersByHandle } from '../../../src/nat/iptables/handles.ts'
import { removeByHandle } from '../../../src/nat/iptables/removal.ts'
import { planRules } from '../../../src/nat/rules.ts'
import { Netlink } from '../../../src/netlink/netlink.ts'
import { IptKernel } from '../../support/ipt-kernel.ts'

const OWNER = '3e00000000000001'
const NEIGHBOUR = '3e00000000000002'

const tablesFor = (owner: string) => {
  const rules = planRules({
    owner,
    bridge: 'br0',
    addresses: ['10.1.0.2/24' as Cidr],
    ipMasq: true,
    guardDirect: true,
    ports: [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }],
  })
  return rules.families.flatMap(part => intoBuckets(tablesOf(rules, part), owner))
}

/** A kernel with the rules of these owners, in buckets, or as an earlier build had them. */
function kernelOf(owners: readonly string[], { flat = false } = {}) {
  const kernel = new IptKernel()
  for (const [table, chain] of [
    ['raw', 'PREROUTING'],
    ['mangle', 'PREROUTING'],
    ['filter', 'FORWARD'],
    ['nat', 'PREROUTING'],
    ['nat', 'OUTPUT'],
    ['nat', 'POSTROUTING'],
  ] as const) {
    kernel.addChain(table, chain)
    kernel.addRule(table, chain, { comment: 'theirs' })
  }
  for (const owner of owners) {
    for (const table of tablesFor(owner)) {
      const buckets = new Set(bucketsOf(table).map(({ name }) => name))
      for (const { name, jumps, rules } of table.chains) {
        if ((flat && buckets.has(name)) || kernel.rulesIn(table.name, name) !== undefined) continue
        kernel.addChain(table.name, name)
        for (const _ of rules) kernel.addRule(table.name, name, {})
        for (const jump of jumps) kernel.addRule(table.name, jump.split(' ')[0] ?? '', { target: name })
      }
      for (const rule of table.rules) {
        const [chain = ''] = rule.split(' ')
        const place = flat ? chain.replace(/-..$/, '') : chain
        kernel.addRule(table.name, place, { comment: `tsnet:${owner}` })
      }
    }
  }
  return { kernel, nl: new Netlink(kernel.scripted) }
}

const tables = tablesFor(OWNER)
const KNOWN = { tables, last: false, accepts: false }

t.test('an owner is known by its comment, wherever its rules are', async t => {
  for (const flat of [false, true]) {
    const { nl } = kernelOf([OWNER, NEIGHBOUR], { flat })
    t.strictSame(ownersByHandle(nl, 4).sort(), [OWNER, NEIGHBOUR])
    t.equal(isCountRight(nl, 4, OWNER, tables), !flat)
  }
})

t.test('its rules go, in one transaction, and those of a neighbour in the same buckets stay', async t => {
  const { kernel, nl } = kernelOf([NEIGHBOUR])
  const before = kernel.text()
  const both = kernelOf([NEIGHBOUR, OWNER])
  t.not(both.kernel.text(), before)
  removeByHandle(both.nl, 4, OWNER, KNOWN)
  t.equal(both.kernel.text(), before)
  t.equal(both.kernel.commits, 1)
  removeByHandle(nl, 4, OWNER, KNOWN)
  t.equal(kernel.text(), before, 'and nothing where there is nothing')
})

t.test('looking at what is known does not look at anybody else', async t => {
  const { kernel, nl } = kernelOf([OWNER, ...Array.from({ length: 40 }, (_, i) => `${10 + i}00000000000003`)])
  removeByHandle(nl, 4, OWNER, KNOWN)
  t.notOk(
    kernel.asked.some(chain => chain.endsWith('-11')),
    kernel.asked.join(),
  )
  t.ok(kernel.asked.includes('nat TSNET-DNAT-90'))
})

t.test('what all share goes with the last, and not before', async t => {
  const empty = kernelOf([]).kernel.text()
  for (const known of [KNOWN, { last: false, accepts: false }]) {
    for (const flat of [false, true]) {
      const { kernel, nl } = kernelOf([OWNER, NEIGHBOUR], { flat })
      removeByHandle(nl, 4, OWNER, { ...known, last: true })
      t.notMatch(kernel.text(), `tsnet:${OWNER}`)
      t.match(kernel.text(), /jump TSNET-DNAT/)
      removeByHandle(nl, 4, NEIGHBOUR, { last: true, accepts: false })
      t.equal(kernel.text(), empty)
    }
  }
})

t.test('a rule that somebody deletes meanwhile keeps none of the others', async t => {
  const { kernel, nl } = kernelOf([NEIGHBOUR, OWNER])
  const before = kernelOf([NEIGHBOUR]).kernel.text()
  kernel.meanwhile = () => {
    const rules = kernel.rulesIn('filter', 'TSNET-FORWARD-3e') ?? []
    rules.splice(
      rules.findIndex(({ comment }) => comment === `tsnet:${OWNER}`),
      1,
    )
  }
  removeByHandle(nl, 4, OWNER, KNOWN)
  t.equal(kernel.text(), before)
  t.equal(kernel.refusals, 1)
})

t.test('a rule that somebody adds meanwhile keeps its chain', async t => {
  for (const last of [false, true]) {
    const { kernel, nl } = kernelOf([OWNER])
    kernel.meanwhile = () => kernel.addRule('filter', 'TSNET-FORWARD-3e', { comment: `tsnet:${NEIGHBOUR}` })
    removeByHandle(nl, 4, OWNER, { ...KNOWN, last })
    t.equal(kernel.refusals, 1)
    t.notMatch(kernel.text(), `tsnet:${OWNER}`)
    t.match(kernel.text(), `filter TSNET-FORWARD-3e tsnet:${NEIGHBOUR}`)
    t.match(kernel.text(), 'filter TSNET-FORWARD jump TSNET-FORWARD-3e')
  }
})

t.test('who leads to our chain from elsewhere is found when the kernel says that it is in use', async t => {
  const { kernel, nl } = kernelOf([OWNER])
  kernel.addChain('filter', 'THEIRS')
  kernel.addRule('filter', 'THEIRS', { target: 'TSNET-FORWARD' })
  removeByHandle(nl, 4, OWNER, { ...KNOWN, last: true })
  t.notMatch(kernel.text(), 'TSNET')
})

t.test('FORWARD accepts again in the same transaction, where it drops', async t => {
  const { kernel, nl } = kernelOf([OWNER])
  kernel.policy = 'drop'
  removeByHandle(nl, 4, OWNER, { ...KNOWN, accepts: true })
  t.equal(kernel.policy, 'accept')
  t.equal(kernel.commits, 1)
})

t.test('what the kernel does not let us is told, and nothing is tried again', async t => {
  const { kernel, nl } = kernelOf([OWNER])
  kernel.denies = 'EPERM'
  t.throws(() => removeByHandle(nl, 4, OWNER, KNOWN), {
    code: 'kernel',
    message: new RegExp(`removing tsnet:${OWNER}: nft delete rule ip nat TSNET-[A-Z]+-.. handle`),
  })
  t.equal(kernel.refusals, 1)
})
