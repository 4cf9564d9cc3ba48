/** Rule sets of the iptables backend, with the nft variant of iptables. */

import t from 'tap'
import { rules } from '../support/nat-rules.ts'
import { intentOf, iptablesNft, NatSite, publishBoth, strangerIntent } from '../support/nat-site.ts'

rules(iptablesNft)

t.test('iptables-nft: when the second family fails, the first is taken back', async t => {
  const env = { PATH: '/run/half:/usr/sbin:/usr/bin:/sbin:/bin' }
  const site = await NatSite.open({ ...iptablesNft, env })
  t.teardown(site.close)
  await site.primeTables()
  await site.install(strangerIntent())
  const before = await site.rules()
  await site.host.run(
    'sh',
    '-c',
    'mkdir /run/half; cat >/run/half/ip6tables-restore; chmod +x /run/half/ip6tables-restore',
    {
      stdin: '#!/bin/sh\nsleep 0.2; echo "ip6tables-restore: no kernel support" >&2; exit 2\n',
    },
  )
  await t.rejects(site.install(intentOf({ ports: publishBoth(8080) })), {
    code: 'kernel',
    message: /^ip6tables-restore, rules of tsnet:00000000000000a1: .*no kernel support/,
  })
  await site.host.run('rm', '/run/half/ip6tables-restore')
  t.equal(await site.rules(), before)
})
