/**
 * A network that is made by hand is podman's as well: its containers join it by name, its own networks are seen by
 * `tsnet network`, and neither chooses a subnet of the other's.
 */

import t from 'tap'
import { snapshot } from 'tsnet/lab'
import type { NetworkDetails, NetworkInfo } from '../../src/networks/networks.ts'
import { webServer } from '../support/busybox.ts'
import { Command } from '../support/daemon.ts'
import { readNetworkList } from '../support/libcni.ts'
import { needCni, PODMANS, Podman } from '../support/podman.ts'
import { at, clientReads, families, leftovers, siteFor } from '../support/site.ts'

t.setTimeout(600_000)

needCni(() => {
  t.test('podman runs containers on a network made by hand, and its own is seen beside it', async t => {
    const site = await siteFor(t)
    const podman = await Podman.start(site.host, readNetworkList('ports'))
    const tsnet = new Command(site.host, 'iptables')
    await podman.run('container', 'ls') // makes what podman keeps for itself
    const before = await snapshot(site.host)

    await tsnet.run('network', 'create', 'front', '--ipv6')
    t.match(
      (await podman.run('network', 'ls', '--format', '{{.Name}}')).split('\n'),
      new Set(['front', 'ports']),
    )
    await podman.container('web', ['--network', 'front', '-p', '8080:80'], ...webServer('web'))
    for (const family of families)
      t.equal(await clientReads(site, family, 8080), `web saw ${at.client[family]}\n`)
    const [front] = JSON.parse((await tsnet.run('network', 'inspect', 'front')).stdout) as [NetworkDetails]
    t.match(front.attachments, [{ name: 'web', ifname: 'eth0', alive: true, ports: [{ hostPort: 8080 }] }])
    t.match(await tsnet.try('network', 'rm', 'front'), { code: 1, stderr: /in use by web;/ })

    await podman.run('network', 'create', 'theirs')
    const listed = JSON.parse((await tsnet.run('network', 'ls', '--json')).stdout) as NetworkInfo[]
    const theirs = listed.find(({ name }) => name === 'theirs')
    t.match(theirs, { plugins: ['bridge'], subnets: [/^10\./] })
    t.notOk(theirs?.subnets.some(subnet => front.subnets.includes(subnet)))
    const refused = await tsnet.try('network', 'create', 'more', '--subnet', theirs?.subnets[0] ?? '')
    t.match(refused, { code: 1, stderr: /overlaps with network theirs/ })
    await podman.run('network', 'rm', 'theirs')

    await podman.run('rm', '-f', '-t', '0', 'web')
    await tsnet.run('network', 'rm', 'front')
    t.same(leftovers(before, await snapshot(site.host), PODMANS), [])
  })
})
