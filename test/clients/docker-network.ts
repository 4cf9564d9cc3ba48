/**
 * Networks of a real dockerd that are made by our drivers: `docker network create -d tsnet`.
 *
 *     client eth0 ── lan host ─── ts-front ── web, db, and one of podman or LXC
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { clientReads, dockerSite, members, OURS, page, reads, residue } from '../support/docker-network.ts'
import { at } from '../support/site.ts'

t.setTimeout(600_000)

t.test(
  'containers of Docker on a network of ours: names, addresses, ports, connect, and nothing left',
  async t => {
    const { site, host, tsnet, docker, before } = await dockerSite(t)
    await docker.run(
      'network',
      'create',
      ...OURS,
      '--subnet',
      '10.66.0.0/24',
      '--gateway',
      '10.66.0.1',
      '-o',
      'tsnet.name=front',
      'front',
    )
    const inspected = JSON.parse(await docker.run('network', 'inspect', 'front'))
    t.match(inspected, [
      {
        Driver: 'tsnet',
        IPAM: { Driver: 'tsnet', Config: [{ Subnet: '10.66.0.0/24', Gateway: '10.66.0.1' }] },
      },
    ])
    // Today's command says it for each network, which dockerd understands from 25 on.
    const mac = (await docker.major()) < 25 ? [] : ['--mac-address', '02:42:0a:42:00:07']
    await docker.web(
      'web',
      '--network',
      'front',
      '--ip',
      '10.66.0.7',
      ...mac,
      '--network-alias',
      'www',
      '-p',
      '8080:80',
      '-p',
      '127.0.0.1:8082:80',
      '-p',
      '8090-8091:80-81/udp',
    )
    await docker.idle('db', '--network', 'front')
    t.match(await reads(docker, 'db', 'web'), /^web saw 10\.66\.0\.\d+$/)
    t.match(await reads(docker, 'db', 'www'), /^web saw 10\.66\.0\.\d+$/)
    const format =
      '{{with index .NetworkSettings.Networks "front"}}{{.IPAddress}} {{.Gateway}} {{.MacAddress}}{{end}}'
    const shown =
      mac.length > 0 ? /^10\.66\.0\.7 10\.66\.0\.1 02:42:0a:42:00:07$/ : /^10\.66\.0\.7 10\.66\.0\.1 /
    t.match(await docker.run('inspect', '--format', format, 'web'), shown)
    t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`)
    t.match(await page(host, '127.0.0.1:8080'), /^web saw /)
    t.match(await page(host, '127.0.0.1:8082'), /^web saw /)
    const ports = JSON.parse((await tsnet.run('ports', '--all', '--json')).stdout) as { hostPort: number }[]
    t.same(ports.map(({ hostPort }) => hostPort).sort(), [8080, 8082, 8090])
    await waitFor(async () => (await members(tsnet, 'front')).some(({ name }) => name === 'web'), {
      what: 'its name to be known',
      withinMs: 30_000,
    })

    await docker.run('network', 'create', ...OURS, '-o', 'tsnet.name=back', '--internal', 'back')
    await docker.run('network', 'connect', '--alias', 'behind', 'back', 'web')
    await docker.run('network', 'connect', 'back', 'db')
    t.match(await reads(docker, 'db', 'behind'), /^web saw /)
    t.equal((await members(tsnet, 'back')).length, 2)
    await docker.run('network', 'disconnect', 'back', 'web')
    t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`)
    await docker.run('network', 'disconnect', 'back', 'db')

    await docker.run('restart', '-t', '0', 'web')
    t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`)
    await t.rejects(
      docker.run('network', 'create', ...OURS, '-o', 'tsnet.nmae=x', 'odd'),
      /tsnet\.nmae: no such option/,
    )
    await t.rejects(
      docker.web('late', '--network', 'front', '-p', '8080:80'),
      /port 8080\/tcp is already published for container \S+ on network front/,
    )
    await docker.run('rm', '-f', 'late')
    await docker.run('rm', '-f', 'web', 'db')
    await docker.run('network', 'rm', 'front', 'back')
    t.same(await residue(host, before, docker), [])
  },
)

t.test('networks of both families, and one of whose addresses Docker knows nothing', async t => {
  const { site, host, docker, before } = await dockerSite(t)
  const subnets = ['--ipv6', '--subnet', '10.68.0.0/24', '--subnet', 'fd00:68::/64']
  await docker.run('network', 'create', ...OURS, ...subnets, 'both')
  await docker.run('network', 'create', '-d', 'tsnet', '--ipam-driver', 'null', 'quiet')
  const wget = (from: string, to: string) =>
    docker.run('exec', from, '/bin/busybox', 'wget', '-qO-', `http://${to}/cgi-bin/who`)
  for (const network of ['both', 'quiet']) {
    await docker.web('web', '--network', network, '-p', '8080:80')
    await docker.idle('db', '--network', network)
    t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`, network)
    if (network === 'both') {
      const format = '{{.NetworkSettings.Networks.both.GlobalIPv6Address}}'
      const address = await docker.run('inspect', '--format', format, 'web')
      t.match(address, /^fd00:68::\w+$/)
      t.match(await wget('db', `[${address}]`), /^web saw fd00:68::/)
      t.equal(await page(site.client, `[${at.host.v6}]:8080`), `web saw ${at.client.v6}`)
    } else {
      const [, address = ''] =
        (await docker.run('exec', 'web', '/bin/busybox', 'ip', 'addr', 'show', 'dev', 'eth0')).match(
          /inet ([\d.]+)/,
        ) ?? []
      t.match(await wget('db', address), /^web saw /)
    }
    await docker.run('rm', '-f', 'web', 'db')
    await docker.run('network', 'rm', network)
  }
  t.same(await residue(host, before, docker), [])
})

for (const options of [['--live-restore'], []]) {
  t.test(
    `dockerd ${options.join('')} and the daemon die and come back: who runs is served, nothing is left`,
    async t => {
      const { site, host, tsnet, daemon, docker, before } = await dockerSite(t, ...options)
      await docker.run('network', 'create', ...OURS, '-o', 'tsnet.name=front', 'front')
      await docker.web('web', '--network', 'front', '-p', '8080:80', '--restart', 'always')
      const served = async (when: string) =>
        t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`, when)
      await served('at first')
      await docker.down('SIGKILL')
      await served('while dockerd is dead')
      await docker.up()
      await served('when it is back')
      await docker.down()
      await docker.up()
      await served('after it was restarted')
      await daemon.stop('SIGKILL')
      await served('while there is no daemon')
      const next = await tsnet.daemon()
      await served('when there is another')
      await docker.run('restart', '-t', '0', 'web')
      await served('after the container was restarted')
      await docker.run('rm', '-f', 'web')
      await docker.run('network', 'rm', 'front')
      t.same(await residue(host, before, docker), [])
      await next.stop()
    },
  )
}
