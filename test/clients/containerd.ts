/**
 * A real containerd starts containers through tsnet, on both NAT backends; support/site.ts draws who is
 * where. The reference plugins are the control: the search for leftovers finds what they leave.
 */

import t, { type Test } from 'tap'
import { type Snapshot, snapshot } from 'tsnet/lab'
import { webServer } from '../support/busybox.ts'
import { type Container, Containerd } from '../support/containerd.ts'
import { type NetworkList, readNetworkList, withKeys } from '../support/libcni.ts'
import { pluginsOf } from '../support/plugins.ts'
import { at, clientReads, ECHO, families, inUrl, leftovers, type Site, siteFor } from '../support/site.ts'

t.setTimeout(600_000) // of the whole file; tap's own 30 s are short where other work goes on

const containerds = /containerd|\/run\/runc/

interface Scene extends Site {
  containerd: Containerd
  before: Snapshot
  web: Container
  db: Container
}

/** Two web servers, `web` published at port 8080. */
async function open(t: Test, list: NetworkList): Promise<Scene> {
  const site = await siteFor(t)
  const containerd = await Containerd.start(site.host, list)
  const before = await snapshot(site.host)
  const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }]
  const web = await containerd.run('web', list, { portMappings }, ...webServer('web'))
  const db = await containerd.run('db', list, {}, ...webServer('db'))
  return { ...site, containerd, before, web, db }
}

const reference: NetworkList = {
  cniVersion: '1.0.0',
  name: 'reference',
  plugins: [
    {
      type: 'bridge',
      bridge: 'tsnet2',
      isDefaultGateway: true,
      ipMasq: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.80.0.0/24' }], [{ subnet: 'fd00:80::/64' }]],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
}
for (const backend of ['iptables', 'nftables']) {
  const list = withKeys(readNetworkList('ports'), { ipMasqBackend: backend })

  t.test(`two containers of ctr fetch pages from each other (${backend})`, async t => {
    const { web, db } = await open(t, list)
    for (const family of families) {
      const fetch = (from: Container, to: Container) =>
        from.exec(`busybox wget -q -O- http://${inUrl(to.address(family))}/cgi-bin/who`)
      t.equal(await fetch(db, web), `web saw ${db.address(family)}\n`)
      t.equal(await fetch(web, db), `db saw ${web.address(family)}\n`)
    }
  })

  t.test(`a machine outside sees the host where a container of ctr asks it (${backend})`, async t => {
    const { web } = await open(t, list)
    for (const family of families) {
      const answer = await web.exec(`echo hello | busybox nc ${at.outside[family]} ${ECHO}`)
      t.match(JSON.parse(answer), { place: 'outside', peer: at.hostOutside[family], text: 'hello' })
    }
  })

  t.test(`a client fetches a page from a container of ctr through the host's port (${backend})`, async t => {
    const site = await open(t, list)
    for (const family of families) {
      t.equal(await clientReads(site, family, 8080), `web saw ${at.client[family]}\n`)
    }
  })

  t.test(`nothing is left of containers of ctr that were removed (${backend})`, async t => {
    const site = await open(t, list)
    const { host, before, web, db } = site
    for (const family of families) await clientReads(site, family, 8080)
    await db.remove()
    await web.remove()
    t.same(leftovers(before, await snapshot(host), containerds), [])
  })
}

t.test('GC takes away what is left of a container that ctr forgot', async t => {
  const site = await siteFor(t)
  const { host } = site
  const list = readNetworkList('ports')
  const containerd = await Containerd.start(host, list)
  const before = await snapshot(host)
  await containerd.runAndForget('web', ...webServer('web'))
  const forgotten = leftovers(before, await snapshot(host), containerds).join('\n')
  if (await containerd.cleansUp()) t.equal(forgotten, '', 'ctr 2 forgets none')
  else t.match(forgotten, /file \/var\/lib\/cni\/networks\/ports\/10/)

  const config = { ...list.plugins[0], cniVersion: '1.1.0', name: list.name }
  const collect = pluginsOf(host)('tsnet', { CNI_COMMAND: 'GC' }, JSON.stringify(config))
  t.match(await collect, { code: 0, stdout: '' })
  const cache = /\/var\/lib\/cni\/results\//
  t.same(
    leftovers(before, await snapshot(host), containerds).filter(line => !cache.test(line)),
    [],
  )
})

t.test('control: the search for leftovers finds what the reference plugins leave', async t => {
  const { host, before, web, db } = await open(t, reference)
  await db.remove()
  await web.remove()
  const left = leftovers(before, await snapshot(host), containerds).join('\n')
  t.match(left, /iptables rule .* -A POSTROUTING -s 10\.80\.0\.2/)
})
