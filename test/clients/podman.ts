/**
 * A real podman starts containers and pods through tsnet, on both NAT backends. It passes ports as the CNI
 * conventions have them, and removes a container's network while the namespace is still there.
 */

import t, { type Test } from 'tap'
import { type Snapshot, snapshot, waitFor } from 'tsnet/lab'
import type { ListedPort } from '../../src/publish/list.ts'
import { webServer } from '../support/busybox.ts'
import { Command, REDIRECT_ON } from '../support/daemon.ts'
import { type NetworkList, readNetworkList, withKeys } from '../support/libcni.ts'
import { needCni, Podman } from '../support/podman.ts'
import { at, clientReads, ECHO, families, inUrl, leftovers, type Site, siteFor } from '../support/site.ts'

t.setTimeout(600_000) // of the whole file; tap's own 30 s are short where other work goes on

// Its cleanup of a container that ended goes on beside us, with a socket that the kernel named.
const podmans = /podman|socket host unix @[0-9a-f]{5} |\/run\/runc|mount \/run\/netns/

interface Scene extends Site {
  podman: Podman
  before: Snapshot
}

async function open(t: Test, list: NetworkList): Promise<Scene> {
  const site = await siteFor(t)
  const podman = await Podman.start(site.host, list)
  await podman.run('container', 'ls') // makes what podman keeps for itself
  return { ...site, podman, before: await snapshot(site.host) }
}

/** What the client reads at a port of the host, over IPv4 and IPv6. */
async function readPort(t: Test, site: Site, port: number, name: string): Promise<void> {
  for (const family of families) {
    t.equal(await clientReads(site, family, port), `${name} saw ${at.client[family]}\n`)
  }
}

needCni(() => {
  for (const backend of ['iptables', 'nftables']) {
    const list = withKeys(readNetworkList('ports'), { ipMasqBackend: backend })

    t.test(`podman run -p publishes a port and leaves nothing (${backend})`, async t => {
      const scene = await open(t, list)
      const { host, podman, before } = scene
      await podman.container('web', ['-p', '8080:80'], ...webServer('web'))
      await podman.container('db', [], ...webServer('db'))
      await readPort(t, scene, 8080, 'web')

      const [web, db] = [await podman.addresses('web'), await podman.addresses('db')]
      for (const family of families) {
        const page = `http://${inUrl(web[family])}/cgi-bin/who`
        t.equal(await podman.shell('db', `busybox wget -q -O- ${page}`), `web saw ${db[family]}`)
        const answer = await podman.shell('db', `echo hello | busybox nc ${at.outside[family]} ${ECHO}`)
        t.match(JSON.parse(answer), { place: 'outside', peer: at.hostOutside[family] })
      }

      await podman.run('rm', '-f', '-t', '0', 'web', 'db')
      t.same(leftovers(before, await snapshot(host), podmans), [])
    })

    t.test(`podman pod create -p publishes a port of a pod and leaves nothing (${backend})`, async t => {
      const scene = await open(t, list)
      const { host, podman, before } = scene
      await podman.run('pod', 'create', '--name', 'shop', '-p', '8080:80')
      await podman.container('web', ['--pod', 'shop'], ...webServer('web'))
      await readPort(t, scene, 8080, 'web')
      await podman.run('pod', 'rm', '-f', '-t', '0', 'shop')
      t.same(leftovers(before, await snapshot(host), podmans), [])
    })

    t.test(`podman run --ip --mac-address gets what it asks for (${backend})`, async t => {
      const { podman } = await open(t, list)
      const asked = ['--ip', '10.77.2.50', '--mac-address', '02:00:00:00:00:50']
      await podman.container('web', asked, ...webServer('web'))
      const link = await podman.shell('web', 'busybox ip -o address show eth0; busybox ip -o link show eth0')
      t.match(link, /10\.77\.2\.50\/24/)
      t.match(link, /02:00:00:00:00:50/)
    })

    t.test(`podman run refuses a port that another container has (${backend})`, async t => {
      const scene = await open(t, list)
      const { podman } = scene
      await podman.container('web', ['-p', '8080:80'], ...webServer('web'))
      await t.rejects(podman.container('db', ['-p', '8080:80'], ...webServer('db')), /8080/)
      await readPort(t, scene, 8080, 'web')
    })
  }

  t.test(
    'with the daemon, what podman publishes answers on loopback too, on the sockets that podman keeps',
    async t => {
      const scene = await open(t, readNetworkList('ports'))
      const { host, podman, before } = scene
      const command = new Command(host, 'iptables', {}, 'off')
      let daemon = await command.daemon()
      const specs = ['8080:80', '127.0.0.1:8088:80', '192.0.2.1:8088:81', '[::1]:8089:80', '5353:53/udp']
      const ports = specs.flatMap(spec => ['-p', spec])
      for (const round of ['by the proxy', 'redirected']) {
        if (round === 'redirected') daemon = await command.daemon('--replace', ...REDIRECT_ON)
        await podman.container('web', ports, ...webServer('web'))
        await readPort(t, scene, 8080, 'web')
        for (const place of ['[::1]:8080', '127.0.0.1:8080', '127.0.0.1:8088', '[::1]:8089']) {
          const url = `http://${place}/cgi-bin/who`
          const page = await waitFor(() => host.fetch(url), { what: `an answer from ${url}` })
          t.match(page.body, /^web saw (10\.77\.2\.1|fd00:77:2::1)\n$/, `${round}: ${url}`)
        }
        const listed = JSON.parse((await command.run('ports', '--all', '--json')).stdout) as ListedPort[]
        const led = listed.filter(({ by }) => by.includes('redirect')).map(({ hostPort }) => hostPort)
        t.same(led, round === 'redirected' ? [8080, 8088, 8089] : [], round)
        // Nobody listens on these two.
        const faults = (await command.faults()).filter(
          each => !/^listening: port .*\b(8088|5353)\//.test(each),
        )
        t.strictSame(faults, [], 'nothing else is wrong with the host')
        await podman.run('rm', '-f', '-t', '0', 'web')
        const free = async () => (await host.run('ss', '-Hlntu')).stdout === ''
        await waitFor(free, { what: 'the ports to be free' })
      }
      t.match(await daemon.stop(), { code: 0 })
      // The kernel remembers for two minutes connections that ended.
      const ended = /^connection host tcp TIME_WAIT /
      t.same(
        leftovers(before, await snapshot(host), podmans).filter(line => !ended.test(line)),
        [],
      )
    },
  )
})
