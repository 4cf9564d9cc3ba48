/** Rule sets of the nftables backend. */

import t from 'tap'
import { rules } from '../support/nat-rules.ts'
import {
  intentOf,
  NatSite,
  neighbourIntent,
  nftables,
  publish,
  publishBoth,
  strangerIntent,
} from '../support/nat-site.ts'

rules(nftables)

t.test('nftables: a host port that is taken is a conflict, and changes nothing', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  await site.install(intentOf({ ports: [publish(8080, { count: 5 })] }))
  const before = await site.rules()
  await t.rejects(site.install(neighbourIntent({ ports: publishBoth(8083) })), {
    code: 'conflict',
    message: /host port tcp \. 8083 has rules of tsnet:00000000000000a1 already/,
  })
  t.equal(await site.rules(), before)
})

const INVALID_DROPS = '-m conntrack --ctstate INVALID -j DROP'.split(' ')

t.test('nftables: what the table of iptables drops by policy is accepted there', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  await site.primeTables()
  await site.policy('DROP')
  await site.host.run('iptables-nft', '-A', 'FORWARD', ...INVALID_DROPS)
  const before = await site.rules()
  const intent = intentOf({ ports: publishBoth(8080) })
  await Promise.all([site.install(intent), site.install(strangerIntent())])
  t.match(
    await site.rules(),
    /-A FORWARD -j TSNET-FORWARD[\s\S]*-A TSNET-FORWARD -s 10\.1\.0\.2\/32 -i br1 .*-j ACCEPT/,
    'iptables can read it',
  )
  t.strictSame(await site.call('verifyRules', 'nftables', intent), [])
  await site.host.run('iptables-nft', '-F', 'FORWARD')
  t.match(await site.call('verifyRules', 'nftables', intent), [
    /ip filter FORWARD drops and has no jump to TSNET-FORWARD/,
  ])
  await site.host.run('iptables-nft', '-A', 'FORWARD', ...INVALID_DROPS)
  await site.withdraw(intent.owner, { intent, last: false })
  await site.withdraw(strangerIntent().owner)
  t.equal(await site.rules(), before)
})

t.test('nftables: check names what is missing', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  const intent = intentOf({ ports: [publish(8080)] })
  await site.install(intent)
  await site.host.run('nft', 'delete', 'element', 'inet', 'tsnet', 'ports4', '{ tcp . 8080 }')
  await site.host.run('nft', 'flush', 'chain', 'inet', 'tsnet', 'raw_prerouting')
  t.strictSame(await site.call('verifyRules', 'nftables', intent), [
    'nftables: ports4 lacks tcp . 8080 comment "tsnet:00000000000000a1" : 10.1.0.2 . 80',
    'nftables: chain raw_prerouting has 0 of 5 rules',
  ])
  await site.host.run('nft', 'flush', 'ruleset')
  const problems = (await site.call('verifyRules', 'nftables', intent)) as string[]
  t.ok(problems.includes('nftables: there is no table inet tsnet'))
  await site.withdraw(intent.owner, { intent, last: true })
})

t.test('nftables: nothing but the kernel is needed, and what is missing on the machine is said', async t => {
  const site = await NatSite.open(nftables)
  t.teardown(site.close)
  t.equal(await site.call('chooseBackend'), 'iptables')
  await site.host.run('mount', '--bind', '/dev/null', '/usr/sbin/xtables-nft-multi')
  await site.host.run(
    'sh',
    '-c',
    'for file in /usr/sbin/nft /usr/lib/*/libnftables.so.1; do mount --bind /dev/null $file; done',
  )
  t.equal(await site.call('chooseBackend'), 'nftables', 'the kernel alone will do')
  await site.install(intentOf())
  t.strictSame(await site.call('verifyRules', 'nftables', intentOf()), [])
  await site.withdraw(intentOf().owner)
  await t.rejects(site.call('chooseBackend', 'iptables'), {
    code: 'missing',
    message: 'natBackend is "iptables", but no iptables-restore command is there',
  })
})
