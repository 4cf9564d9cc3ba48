/**
 * A real dockerd with our docker-proxy and a daemon that redirects: `curl localhost:8080` reaches the container with nobody
 * in between, for as long as dockerd publishes it.
 */

import t from 'tap'
import { lab, waitFor } from 'tsnet/lab'
import type { ListedPort } from '../../src/publish/list.ts'
import { Command, REDIRECT_ON } from '../support/daemon.ts'
import { IMPLEMENTATIONS } from '../support/docker-proxy.ts'
import { Dockerd } from '../support/dockerd.ts'

t.setTimeout(600_000)

t.test('curl localhost:8080 of a container of Docker, restarted, stopped and started', async t => {
  const world = await lab()
  t.teardown(() => world.end())
  const host = await world.host('host')
  const tsnet = new Command(host, 'iptables')
  await tsnet.daemon(...REDIRECT_ON)
  const docker = await Dockerd.start(host, `--userland-proxy-path=${IMPLEMENTATIONS.tsnet}`)
  await docker.web('web', '-p', '8080:80', '-p', '127.0.0.1:8081:80')

  const curl = async (url: string) => (await host.run('curl', '-sS', url)).stdout.trim()
  const answers = async () => {
    const first = await waitFor(() => curl('http://localhost:8080/cgi-bin/who'), { what: 'an answer' })
    t.match(first, /^web saw /)
    t.notMatch(first, / (127\.|::1)/, 'it does not come from loopback')
    for (const url of ['http://127.0.0.1:8080', 'http://[::1]:8080', 'http://127.0.0.1:8081'])
      t.match(await curl(`${url}/cgi-bin/who`), /^web saw /, url)
  }
  const listed = async (): Promise<ListedPort[]> =>
    JSON.parse((await tsnet.run('ports', '--all', '--json')).stdout) as ListedPort[]

  await answers()
  const ports = await listed()
  t.match(ports, [
    { source: 'docker', hostPort: 8080, by: ['dockerd', 'redirect', 'proxy'], counters: { accepted: 0 } },
    { source: 'docker', hostPort: 8081, by: ['dockerd', 'redirect', 'proxy'], counters: { accepted: 0 } },
  ])
  t.ok((ports[0]?.redirected?.connections ?? 0) >= 3)
  await docker.run('restart', '-t', '0', 'web')
  await answers()
  await docker.run('stop', '-t', '0', 'web')
  // CURLE_COULDNT_CONNECT
  for (const url of ['http://localhost:8080', 'http://127.0.0.1:8081'])
    await t.rejects(curl(url), /ended with 7: /, url)
  await docker.run('start', 'web')
  await answers()
  await docker.down()
})
