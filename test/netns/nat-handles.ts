/** Rules of the iptables backend in a real nft variant, beside its own commands: who made them, and how, does not matter. */

import t, { type Test } from 'tap'
import { freshFile, tablesOf } from '../../src/nat/iptables/document.ts'
import { planRules } from '../../src/nat/rules.ts'
import {
  intentOf,
  iptablesNft,
  NatSite,
  neighbourIntent,
  publish,
  publishBoth,
  strangerIntent,
} from '../support/nat-site.ts'

t.setTimeout(600_000)

async function open(t: Test): Promise<NatSite> {
  const site = await NatSite.open(iptablesNft)
  t.teardown(site.close)
  await site.primeTables()
  return site
}

const web = intentOf({ ports: [...publishBoth(8080), publish(9000, { count: 3 })] })
/** Shares every bucket of web's: both tags begin with 00, and both first ports end in 90. */
const neighbour = neighbourIntent({ ports: publishBoth(8080 + 256) })
const stranger = strangerIntent({ ports: publishBoth(7070) })

const saved = async (site: NatSite) => {
  const { stdout } = await site.host.run('sh', '-c', 'iptables-save; ip6tables-save')
  return stdout.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '')
}

/** A file that makes what is not there yet. */
const without = (file: string, there: string): string => {
  const lines = new Set(there.replace(/^:(\S+).*$/gm, '-N $1').split('\n'))
  return file.replace(/^-.*\n/gm, line => (lines.has(line.trimEnd()) ? '' : line))
}

t.test('rules stand as the command would have made them, also in buckets that we made', async t => {
  const site = await open(t)
  const empty = await saved(site)
  await site.install(stranger)
  const before = await saved(site)
  await site.install(web)
  await site.install(neighbour)
  const ours = await saved(site)
  await site.withdraw(web.owner, { intent: web, last: false })
  await site.withdraw(neighbour.owner, { intent: neighbour, last: false })
  t.equal(await saved(site), before)
  for (const intent of [web, neighbour]) {
    const [shown] = await site.all(['describeRules', 'iptables', intent])
    for (const part of String(shown?.value).split(/^(?=# ip6?tables)/m)) {
      const command = /^# (\S+)/.exec(part)?.[1] ?? ''
      const { stdout } = await site.host.run(command.replace('restore', 'save'))
      await site.host.run(command, '--noflush', { stdin: without(part, stdout) })
    }
  }
  t.equal(await saved(site), ours)
  for (const { owner } of [web, neighbour, stranger]) await site.withdraw(owner)
  t.equal(await saved(site), empty)
})

t.test('after somebody has saved and restored the tables, who comes and goes finds its rules', async t => {
  const site = await open(t)
  await site.install(stranger)
  const alone = await saved(site)
  await site.install(web)
  await site.host.run(
    'sh',
    '-euc',
    'for n in ip ip6; do "$n"tables-save >/run/saved; "$n"tables-restore </run/saved; done',
  )
  t.strictSame(await site.call('verifyRules', 'iptables', web), [])
  await site.install(neighbour)
  t.strictSame(await site.call('verifyRules', 'iptables', neighbour), [])
  await site.withdraw(web.owner, { intent: web, last: false })
  await site.withdraw(neighbour.owner, { last: false })
  const sorted = (text: string) => text.split('\n').sort()
  t.strictSame(
    sorted(await saved(site)).filter(line => !sorted(alone).includes(line)),
    [],
  )
  t.strictSame(await site.call('verifyRules', 'iptables', stranger), [])
})

t.test('what an earlier build made is right, and goes by its record or its tag', async t => {
  const site = await open(t)
  const empty = await saved(site)
  const rules = planRules(web)
  const make = async () => {
    for (const part of rules.families) {
      const stdin = freshFile(tablesOf(rules, part))
      const family = part.family === 4 ? '' : '6'
      await site.host.run(`ip${family}tables-restore`, '--noflush', { stdin })
    }
  }
  await make()
  t.strictSame(await site.call('verifyRules', 'iptables', web), [])
  t.strictSame(await site.call('owners', 'iptables'), [web.owner])
  await site.install(neighbour)
  t.strictSame(await site.call('verifyRules', 'iptables', neighbour), [], 'others come into buckets')
  await site.withdraw(neighbour.owner, { intent: neighbour, last: false })
  for (const hint of [{ intent: web, last: true }, { last: true }]) {
    await site.withdraw(web.owner, hint)
    t.equal(await saved(site), empty)
    await make()
  }
  await site.withdraw(web.owner, { intent: web, last: false })
  t.notMatch(await saved(site), 'tsnet:')
  await site.withdraw(web.owner)
  t.equal(await saved(site), empty)
})

t.test('what two have repaired at once, and is there twice, goes with the last', async t => {
  const site = await open(t)
  const empty = await saved(site)
  await site.install(web)
  const repair = () =>
    site.host.run(
      'iptables',
      '-t',
      'raw',
      '-I',
      'TSNET-RAW',
      '!',
      '-i',
      'lo',
      '-d',
      '127.0.0.0/8',
      '-j',
      'DROP',
    )
  await repair()
  await repair()
  await site.withdraw(web.owner, { intent: web, last: true })
  t.equal(await saved(site), empty)
})

t.test('what others put into our chains stays, and keeps them', async t => {
  const site = await open(t)
  await site.install(web)
  await site.host.run('iptables', '-A', 'TSNET-FORWARD-00', '-s', '10.9.9.9', '-j', 'DROP')
  await site.host.run('iptables', '-t', 'nat', '-I', 'TSNET-DNAT', '-s', '10.9.9.9', '-j', 'RETURN')
  await site.withdraw(web.owner, { intent: web, last: true })
  const left = (await saved(site)).match(/^-A .*TSNET.*$/gm)
  t.strictSame(left, [
    // Whoever leads ports by this chain is guarded as before.
    '-A PREROUTING -j TSNET-RAW',
    '-A TSNET-RAW -d 127.0.0.0/8 ! -i lo -j DROP',
    '-A FORWARD -j TSNET-FORWARD',
    '-A TSNET-FORWARD -j TSNET-FORWARD-00',
    '-A TSNET-FORWARD-00 -s 10.9.9.9/32 -j DROP',
    '-A PREROUTING -m addrtype --dst-type LOCAL -j TSNET-DNAT',
    '-A OUTPUT -m addrtype --dst-type LOCAL -j TSNET-DNAT',
    '-A TSNET-DNAT -s 10.9.9.9/32 -j RETURN',
  ])
  await site.host.run('iptables', '-F', 'TSNET-FORWARD-00')
  await site.host.run('iptables', '-t', 'nat', '-F', 'TSNET-DNAT')
  await site.withdraw(web.owner, { intent: web, last: true })
  t.notMatch(await saved(site), 'TSNET')
})

t.test('a check names a rule that is missing, one that is too much, and a way that is cut', async t => {
  const site = await open(t)
  await site.install(web)
  const problems = () => site.call('verifyRules', 'iptables', web)
  const change = (...words: string[]) => site.host.run('iptables', ...words)
  const accept = ['-s', '10.1.0.2', '-i', 'br1', '-m', 'comment', '--comment', `tsnet:${web.owner}`, '-j']
  await change('-D', 'TSNET-FORWARD-00', ...accept, 'ACCEPT')
  t.match(await problems(), [/^iptables: table filter lacks -A TSNET-FORWARD-00 -s 10\.1\.0\.2\/32 -i br1/])
  await change('-A', 'TSNET-FORWARD-00', ...accept, 'DROP')
  t.match(await problems(), [/lacks .* ACCEPT$/], 'as many as there should be')
  await change('-A', 'TSNET-FORWARD-00', ...accept, 'ACCEPT')
  t.match(await problems(), [/^iptables: table filter has also -A TSNET-FORWARD-00 .* DROP$/])
  await change('-D', 'TSNET-FORWARD-00', ...accept, 'DROP')
  t.strictSame(await problems(), [])
  await change('-D', 'TSNET-FORWARD', '-j', 'TSNET-FORWARD-00')
  t.match(await problems(), [/^iptables: table filter lacks -A TSNET-FORWARD -j TSNET-FORWARD-00$/])
})
