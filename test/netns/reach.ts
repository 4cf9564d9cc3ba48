/** Whom a container may reach, against what it tries, beside one that may reach everybody. */

import { resolve } from 'node:path'
import t from 'tap'
import { addressOf } from '../support/plugin.ts'
import { answering } from '../support/reach.ts'
import { attemptsAt, openReachSite, surprises } from '../support/reach-site.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

/** Its name servers at the gateway. */
const isNotTheTest = (line: string): boolean => !/^socket host udp6? \S+:53 /.test(line)

for (const backend of BACKENDS) {
  t.test(`${backend}: a container reaches what its list says, and nothing else`, async t => {
    const site = await openReachSite(backend)
    const { scene, box, free, results } = site
    t.teardown(() => scene.close())
    const [boxed, mate] = [scene.get('boxed'), scene.get('mate')]
    const attempts = attemptsAt(site)
    t.strictSame(await surprises(boxed, attempts), [])
    t.comment(`figure: attempts of a container with a list, ${backend}: ${attempts.length}`)
    // Whoever may reach everybody stands on the same network.
    for (const each of attempts.filter(({ what }) => !/ neighbour| itself/.test(what)))
      t.ok(await each.try(mate), `control: ${each.what}`)
    for (const family of [4, 6] as const) {
      const [own, host] = [addressOf(results.boxed, family), HOST[family]]
      t.equal(await answering(scene.client, 'tcp', host, 8090), 'boxed', 'clients outside are answered')
      t.equal(await answering(mate, 'tcp', own, ANSWERS), 'boxed', 'neighbours are answered over TCP')
      t.equal(await answering(scene.host, 'udp', own, ANSWERS), 'boxed', 'the host is answered')
      t.equal(
        await answering(scene.get('free'), 'tcp', CLIENT[family], 81),
        'client',
        'other networks are open',
      )
    }
    await box.check(boxed, results.boxed)
    for (const [plugin, who] of [
      [box, 'boxed'],
      [box, 'mate'],
      [free, 'free'],
    ] as const)
      await plugin.delete(scene.get(who))
    t.strictSame(await scene.residue(isNotTheTest), [])
  })
}

t.test('what others flush is named by CHECK, and put back', async t => {
  const site = await openReachSite('nftables')
  const { scene, box, free, results } = site
  t.teardown(() => scene.close())
  const { host } = scene
  const boxed = scene.get('boxed')
  const denied = () => answering(boxed, 'tcp', CLIENT[4], 81)
  t.equal(await denied(), 'nobody')
  await t.rejects(box.add(boxed, { ifname: 'eth9', config: { macspoofchk: false } }), {
    message: /macspoofchk: false cannot be off where egress\.allow/,
  })
  await host.run('nft', 'delete', 'table', 'inet', 'tsnet-reach')
  await host.run('nft', 'delete', 'table', 'bridge', 'tsnet-reach')
  t.equal(await denied(), 'client', 'control: without its list it reaches everybody')
  await t.rejects(box.check(boxed, results.boxed), { message: /no table inet tsnet-reach/ })
  await host.run(resolve('dist/bin/tsnet'), 'reconcile')
  t.equal(await denied(), 'nobody', 'and what it began meanwhile ends')
  await box.check(boxed, results.boxed)
  await host.run('nft', 'flush', 'chain', 'inet', 'tsnet-reach', 'senders')
  await t.rejects(box.check(boxed, results.boxed), { message: /chain senders of table inet tsnet-reach/ })
  await host.run(resolve('dist/bin/tsnet'), 'reconcile')
  t.equal(await denied(), 'nobody')
  for (const table of ['inet tsnet-reach', 'bridge tsnet-reach']) {
    await host.run('nft', 'add', 'element', ...table.split(' '), 'ported', '{ icmp }')
    await t.rejects(box.check(boxed, results.boxed), { message: new RegExp(`set ported of table ${table}`) })
    await host.run(resolve('dist/bin/tsnet'), 'reconcile')
    await box.check(boxed, results.boxed)
  }
  await box.collect(['mate'])
  const { stdout } = await host.run('nft', 'list', 'tables')
  t.match(stdout, /inet tsnet-reach/, 'who is left has its list')
  await box.delete(scene.get('mate'))
  await free.delete(scene.get('free'))
  t.strictSame(await scene.residue(isNotTheTest), [])
})
