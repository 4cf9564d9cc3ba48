/**
 * Containers of podman and LXC find each other by name on a network made by hand: as glibc, musl and busybox ask, by the
 * resolv.conf that podman writes, and by one that was written into a container that `tsnet attach` put there.
 */

import { writeFileSync } from 'node:fs'
import t from 'tap'
import { snapshot } from 'tsnet/lab'
import type { NetworkDetails } from '../../src/networks/networks.ts'
import { webServer } from '../support/busybox.ts'
import { Command } from '../support/daemon.ts'
import { readNetworkList } from '../support/libcni.ts'
import { makeLookups } from '../support/lookup.ts'
import { Lxc } from '../support/lxc.ts'
import { needCni, PODMANS, Podman } from '../support/podman.ts'
import { leftovers, siteFor } from '../support/site.ts'

t.setTimeout(600_000)

const KEPT = new RegExp(`${PODMANS.source}|lxc|cgroup`)
/** What the host itself asked over lo, and what was asked from elsewhere, for half a minute. */
const ASKED = /^connection host udp .*dport=53/

needCni(() => {
  t.test(
    "podman's and LXC's containers find each other by name, alias and the beginning of an id",
    async t => {
      const { host } = await siteFor(t)
      const podman = await Podman.start(host, readNetworkList('ports'))
      const lxc = await Lxc.start(host)
      lxc.create('db', undefined, webServer('db'))
      await lxc.up('db')
      await podman.run('container', 'ls') // makes what podman keeps for itself
      await makeLookups(host)
      const tsnet = new Command(host, 'iptables')
      const before = await snapshot(host)
      const daemon = await tsnet.daemon()

      await tsnet.run('network', 'create', 'front', '--names')
      const [front] = JSON.parse((await tsnet.run('network', 'inspect', 'front')).stdout) as [NetworkDetails]
      const gateway = front.subnets[0]?.replace(/\.0\/\d+$/, '.1') ?? ''
      await podman.container('web', ['--network', 'front', '--network-alias', 'shop'], ...webServer('web'))
      // The host's own libraries, for glibc.
      const folders = ['/usr', '/lib', '/lib64', '/srv'].flatMap(folder => ['-v', `${folder}:${folder}:ro`])
      await podman.container('client', ['--network', 'front', ...folders], '/bin/busybox', 'sleep', '1000')
      await tsnet.run('attach', 'front', 'lxc:db', '--alias', 'data')

      const resolv = await podman.shell('client', 'busybox cat /etc/resolv.conf')
      t.match(resolv, /search .*tsnet\.internal/)
      t.equal(/^nameserver (.*)$/m.exec(resolv)?.[1], gateway, 'the gateway is asked first')

      const addressOf = async (name: string): Promise<string> => {
        const [found] = JSON.parse((await tsnet.run('resolve', name, '--json')).stdout) as {
          addresses: string[]
        }[]
        return found?.addresses[0] ?? ''
      }
      const [web, db] = [await addressOf('web'), await addressOf('db')]
      const id = await podman.run('inspect', '--format', '{{.Id}}', 'web')
      const names = { web, shop: web, [id.slice(0, 12)]: web, db, data: db }
      // As a shell has it.
      const name = '$name'
      const kinds = {
        glibc: `/srv/glibc ${name}`,
        musl: `/srv/musl ${name}`,
        busybox: `busybox nslookup ${name}.tsnet.internal`,
      }
      const asks = Object.entries(kinds).map(([kind, command]) => `echo ${kind} ${name} $(${command})`)
      const script = `for name in ${Object.keys(names).join(' ')}; do ${asks.join('; ')}; done`
      const found = (await podman.shell('client', script)).split('\n')
      for (const [name, address] of Object.entries(names))
        for (const kind of Object.keys(kinds)) {
          const line = found.find(each => each.startsWith(`${kind} ${name} `)) ?? ''
          t.ok(line.split(' ').includes(address), `${address}: ${line}`)
        }
      t.equal(
        await podman
          .shell('client', 'busybox wget -q -O- http://db.tsnet.internal/cgi-bin/who')
          .then(text => text.split(' ')[0]),
        'db',
      )

      writeFileSync(
        host.path('/var/lib/lxc/db/rootfs/etc/resolv.conf'),
        `nameserver ${gateway}\nsearch tsnet.internal\n`,
      )
      const asked = await host.run(
        'lxc-attach',
        '-n',
        'db',
        '--',
        '/bin/busybox',
        'nslookup',
        'web.tsnet.internal',
      )
      t.match(asked.stdout, web, 'a container that was attached by hand')

      await tsnet.run('detach', 'front', 'db')
      t.match((await tsnet.try('resolve', 'data')).code, 1, 'and is found no more when it has left')
      await podman.run('rm', '-f', '-t', '0', 'web', 'client')
      await tsnet.run('network', 'rm', 'front')
      t.match(await daemon.stop(), { code: 0 })
      t.same(
        leftovers(before, await snapshot(host), KEPT).filter(line => !ASKED.test(line)),
        [],
      )
      await lxc.down('db')
    },
  )
})
