/**
 * The page of `tsnet graph --serve` in a real browser: npm run test:page. PICTURES=docs has it write the picture of
 * docs/operations.md.
 */

import { writeFileSync } from 'node:fs'
import t from 'tap'
import { buildGraph } from '../../src/graph/graph.ts'
import { servePage } from '../../src/graph/page/page.ts'
import { waitFor } from '../../src/lab/lab.ts'
import { Chromium } from '../support/chromium.ts'
import { EXECUTABLE } from '../support/daemon.ts'
import { facts, HOSTILE } from '../support/graph.ts'
import { withNetworks } from '../support/networks.ts'
import { CLIENT, HOST } from '../support/scene.ts'

const PICTURE_MAX = 150_000
const LABELS = "[...document.querySelectorAll('#picture text')].map(each => each.textContent)"

t.test('the page shows networks, containers, ports and traffic, and follows what changes', async t => {
  const { scene, network, join, tsnet } = await withNetworks(t, 'nftables', 'web', 'api', 'db', 'cache')
  await tsnet.daemon()
  await network('create', 'front')
  await network('create', 'back')
  await join('front', 'web')
  await join('back', 'api')
  await join('back', 'db')
  const send = (from: 'client' | 'api' | 'db', to: string, bytes: number) => {
    const place = from === 'client' ? scene.client : scene.get(from)
    place.start('socat', '-u', `SYSTEM:while head -c ${bytes} /dev/zero; do sleep 0.3; done`, `TCP:${to}`)
  }
  for (const place of [scene.get('web'), scene.client])
    place.start('socat', '-u', 'TCP-LISTEN:90,fork,reuseaddr', 'OPEN:/dev/null')
  await waitFor(async () => (await scene.client.run('ss', '-Htln', 'sport', '=', ':90')).stdout !== '', {
    what: 'a listener',
  })
  await tsnet.run('publish', '8080:90', 'netns:web')
  send('client', `${HOST[4]}:8080`, 40_000)
  send('api', `${HOST[4]}:8080`, 90_000)
  send('db', `${CLIENT[4]}:90`, 20_000)

  const serving = scene.host.start(EXECUTABLE, 'graph', '--serve', { env: { TSNET_NAT: 'nftables' } })
  await waitFor(() => serving.stdout.includes('\n'), { what: 'the address', withinMs: 30_000 })
  const url = serving.stdout.trim()
  await using browser = await Chromium.start(scene.host)
  await browser.visit(url, { height: 660 })
  await browser.until(
    `['web', 'api', 'db', '8080/tcp'].every(name => ${LABELS}.includes(name))`,
    'the picture',
  )
  await browser.until("document.querySelectorAll('#top tr').length === 3", 'the traffic')
  t.equal(await browser.evaluate('document.querySelector("#state").textContent'), 'live')

  await join('back', 'cache')
  await browser.until(`${LABELS}.includes('cache')`, 'the one that has come')
  await browser.until("document.querySelector('#chart canvas') !== null", 'the chart')
  const points = "document.querySelectorAll('.u-legend .u-series').length"
  t.equal(await browser.evaluate(points), 3)
  await waitFor(async () => (await browser.evaluate<number>('performance.now()')) > 14_000, {
    what: 'some points',
    withinMs: 60_000,
  })
  const picture = await browser.picture()
  t.ok(picture.length > 10_000 && picture.length < PICTURE_MAX, `${picture.length} bytes`)
  const { PICTURES } = process.env
  if (PICTURES !== undefined) writeFileSync(`${PICTURES}/graph-page.png`, picture)
  t.same(
    browser.complaints.filter(each => !each.includes('favicon')),
    [],
    'nothing that its policy refuses',
  )
  t.equal(
    await browser.evaluate(
      'performance.getEntriesByType("resource").every(({ name }) => name.startsWith(location.href))',
    ),
    true,
  )

  await browser.visit(url.replace(/.\/$/, 'x/'))
  await browser.until('document.body.textContent.includes("token")', 'the refusal')
  serving.stop('SIGINT')
  t.match(await serving.finished, { code: 0 })
})

t.test('names of strangers are text in the page, and nothing else', async t => {
  const [attachment] = facts().attached
  if (attachment === undefined) throw new Error('nobody is attached')
  const attached = HOSTILE.map((name, n) => ({ ...attachment, name, containerId: `id${n}`, network: name }))
  const look = { graph: async () => buildGraph(facts({ attached })), counters: async () => undefined }
  await using page = await servePage(0, look)
  await using browser = await Chromium.start()
  await browser.visit(page.url)
  await browser.until(`${LABELS}.length > 20`, 'the picture')
  t.equal(await browser.evaluate('document.scripts.length'), 1)
  t.same(
    await browser.evaluate(
      "[...new Set([...document.querySelectorAll('#picture *')].map(each => each.tagName))].sort()",
    ),
    ['defs', 'marker', 'path', 'rect', 'text', 'title'],
  )
  t.ok((await browser.evaluate<string[]>(LABELS)).includes('</text><script>alert(1)</script>'))
})
