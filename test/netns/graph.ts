/**
 * Who talks to whom on a host, with connections that stay open:
 *
 *     client ──8080──▶ rules ─▶ web on front       api on back ──8080──▶ web
 *     client ──[fd50::1]:8080──▶ proxy or rules    db on back ──▶ client
 *
 * PICTURES=docs has it write the picture of docs/operations.md.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import t from 'tap'
import { type Place, waitFor } from 'tsnet/lab'
import type { Edge, Node } from '../../src/graph/graph.ts'
import { EXECUTABLE } from '../support/daemon.ts'
import { withNetworks } from '../support/networks.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { CLIENT, HOST } from '../support/scene.ts'

const PORT = 90

/** A server whose connections stay. */
async function serve(place: Place): Promise<void> {
  place.start('socat', `TCP-LISTEN:${PORT},fork,reuseaddr`, 'EXEC:cat')
  await waitFor(async () => (await place.run('ss', '-Htln', 'sport', '=', `:${PORT}`)).stdout !== '', {
    what: `${place.name} to listen`,
  })
}

const hold = (place: Place, address: string, port: number) =>
  place.start('socat', 'EXEC:sleep 600', `TCP:${address}:${port}`)

t.test('networks, containers, ports and who asks whom are in the graph, in all its forms', async t => {
  const { scene, network, join, tsnet } = await withNetworks(t, 'nftables', 'web', 'api', 'db')
  await tsnet.daemon()
  await network('create', 'front')
  await network('create', 'back')
  await join('front', 'web')
  await join('back', 'api')
  await join('back', 'db')
  for (const place of [scene.get('web'), scene.client]) await serve(place)
  await tsnet.run('publish', '--mode', 'auto', `8080:${PORT}`, 'netns:web')

  hold(scene.client, HOST[4], 8080)
  hold(scene.get('api'), HOST[4], 8080)
  hold(scene.get('db'), CLIENT[4], PORT)
  hold(scene.client, `[${HOST[6]}]`, 8080)

  const look = async () => JSON.parse((await tsnet.run('graph', '--json')).stdout) as (Node | Edge)[]
  const named = (all: (Node | Edge)[], id: string): string => {
    const node = all.find(each => 'id' in each && each.id === id) as Node | undefined
    if (node === undefined) throw new Error(`no node ${id}`)
    return 'name' in node ? node.name : 'address' in node ? node.address : id
  }
  const talks = (all: (Node | Edge)[]): string[] =>
    all.flatMap(each =>
      each.kind === 'talks' ? [`${named(all, each.from)} ${named(all, each.to)} ${each.port}`] : [],
    )
  const wanted = [
    `${CLIENT[4]} port:8080/tcp 8080`,
    `${CLIENT[6]} port:8080/tcp 8080`,
    `api port:8080/tcp 8080`,
    `db ${CLIENT[4]} ${PORT}`,
  ].sort()
  let all = await look()
  const isThere = async () => {
    all = await look()
    return talks(all).length === wanted.length
  }
  await waitFor(isThere, { what: 'all connections' }).catch(() => {})
  t.same(talks(all).sort(), wanted)
  const attached = all.flatMap(each =>
    each.kind === 'attached' ? [`${named(all, each.from)} ${named(all, each.to)} ${each.state}`] : [],
  )
  t.same(attached.sort(), ['api back attached', 'db back attached', 'web front attached'])
  t.match(
    all.filter(({ kind }) => kind === 'published'),
    [{ from: 'port:8080/tcp', containerPort: PORT, connections: 3 }],
    'two by rules, one by the proxy, or as the daemon leads them',
  )
  t.match(
    all.flatMap(each => (each.kind === 'uplink' ? [each] : [])),
    [{ name: 'lan0', addresses: [`${HOST[4]}/24`, `${HOST[6]}/64`] }],
  )

  const text = (await tsnet.run('graph')).stdout
  t.match(text, /^├─ lan0 {2}192\.168\.50\.1\/24/m)
  t.match(text, /← 8080\/tcp to 90 {2}nftables\S* {2}3 connections$/m)
  t.match(text, /→ 192\.168\.50\.2 90\/tcp {2}1 connection$/m)

  const svg = (await tsnet.run('graph', '--svg', '-')).stdout
  t.match(svg, /^<svg [\s\S]*192\.168\.50\.2 → 8080\/tcp[\s\S]*<\/svg>\n$/)
  const { PICTURES } = process.env
  if (PICTURES !== undefined) writeFileSync(`${PICTURES}/graph.svg`, svg.replaceAll(hostname(), 'host'))
  await tsnet.run('graph', '--svg', '/run/graph.svg')
  t.equal(readFileSync(scene.host.path('/run/graph.svg'), 'utf8').length > 0, true)
  t.match(await tsnet.try('graph', '--svg', '/nowhere/graph.svg'), {
    code: 1,
    stderr: /--svg: cannot write "\/nowhere\/graph\.svg": .*ENOENT/,
  })
  t.match(await tsnet.try('graph', '--svg', '-', '--json'), { code: 2 })
})

t.test('without a daemon, and without anything, there is the host', async t => {
  const { tsnet } = await withNetworks(t, 'nftables')
  const all = JSON.parse((await tsnet.run('graph', '--json')).stdout) as Node[]
  t.match(all, [
    { kind: 'host', id: 'host' },
    { kind: 'uplink', name: 'lan0' },
  ])
  t.equal(all.length, 2)
})

t.test('its page is on loopback, for who has the address, until Ctrl-C', async t => {
  const { scene, network, join, tsnet } = await withNetworks(t, 'nftables', 'web')
  await tsnet.daemon()
  await network('create', 'front')
  await join('front', 'web')
  const serving = scene.host.start(EXECUTABLE, 'graph', '--serve', '--port', '8900', {
    env: { ...NO_DAEMON, TSNET_NAT: 'nftables' },
  })
  await waitFor(() => serving.stdout.includes('\n'), { what: 'the address', withinMs: 30_000 })
  const url = serving.stdout.trim()
  t.match(url, /^http:\/\/127\.0\.0\.1:8900\/[\w-]{43}\/$/)
  t.equal(
    (await scene.host.run('ss', '-Htln', 'sport', '=', ':8900')).stdout.match(/127\.0\.0\.1:8900/g)?.length,
    1,
  )
  t.match(await scene.host.fetch(url), { status: 200, body: /<title>tsnet/ })
  t.match(await scene.host.fetch(`${url}page.js`), { status: 200 })
  t.match(await scene.host.fetch('http://127.0.0.1:8900/'), { status: 403 })
  await t.rejects(scene.client.fetch(url.replace('127.0.0.1', HOST[4]), { withinMs: 2_000 }))
  const events = scene.host.start('curl', '-sN', `${url}events`)
  const pictures = () => events.stdout.match(/^event: picture$/gm)?.length ?? 0
  await waitFor(() => events.stdout.includes('"text":"web"'), { what: 'a picture', withinMs: 30_000 })
  await waitFor(() => events.stdout.includes('event: traffic'), { what: 'traffic', withinMs: 30_000 })
  const before = pictures()
  await tsnet.run('publish', '8080:80', 'netns:web')
  await waitFor(() => events.stdout.includes('8080/tcp'), { what: 'the port', withinMs: 30_000 })
  t.equal(pictures(), before + 1, 'what has not changed is not sent')
  t.match(await tsnet.try('graph', '--serve', '--port', '8900'), {
    code: 1,
    stderr: /8900 is somebody else's/,
  })
  const { code } = await serving.stop('SIGINT')
  t.equal(code, 0)
  t.equal((await events.finished).code !== null, true)
})

t.test('what cannot be meant is refused before anything is asked for', async t => {
  const { tsnet } = await withNetworks(t, 'nftables')
  for (const words of [
    ['--serve', '--json'],
    ['--serve', '--svg', '-'],
    ['--port', '80'],
    ['--serve', '--port', '65536'],
    ['--serve', '--port', '-1'],
  ])
    t.match(await tsnet.try('graph', ...words), { code: 2, stdout: words.includes('--json') ? /error/ : '' })
})
