/** What docs/runtimes.md says of each runtime is typed into a host that has it; or the page says that nobody did. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t, { type Test } from 'tap'
import { readDocument } from '../support/document.ts'
import { Lxc } from '../support/lxc.ts'
import { hasCni } from '../support/podman.ts'
import { makeBundle, PODMAN_ENVIRONMENT, preparePodman, startDocker } from '../support/reader-runtimes.ts'
import { answers, block, makePage, openReader, type Reader, SERVE, typeAll } from '../support/readme.ts'

t.setTimeout(600_000) // on a busy machine

const PAGE = 'docs/runtimes.md'
const { typed, block: blockOf } = readDocument(PAGE)
const TYPED = [
  '# Runtime by runtime',
  '## Docker',
  '## Docker Compose',
  '## podman',
  '## LXC',
  '## runc and crun',
]
/** Typed where podman is one that has drivers: `npm run test:newest`. */
const NEWEST = '## podman 5 and 6'

/** A host with what is said before all runtimes. */
async function open(t: Test): Promise<Reader> {
  const reader = await openReader(t)
  for (const folder of ['/usr/local/bin', '/opt/cni/bin', '/usr/lib/cni'])
    await reader.type(`mkdir -p ${folder} && ln -s "$PWD/dist/bin/tsnet" ${folder}`)
  const [first, ...others] = typed().filter(({ command }) => command.startsWith('tsnet network create'))
  t.same(others, [])
  await typeAll(t, reader, first === undefined ? [] : [first])
  return reader
}

t.test('each section of commands is typed by a test, or says why it is not', async t => {
  for (const section of readFileSync(PAGE, 'utf8').split(/^(?=#+ )/m)) {
    const [title = ''] = section.split('\n')
    const hasCommands = /^ {4}(\$ )?(docker|podman|nerdctl|ctr|runc|tsnet|kubectl|crictl) /m.test(section)
    const isTold = /\n_Not run by a test: [^_]+\._\n/.test(section)
    const isTyped =
      TYPED.includes(title) || (title === NEWEST && /\n_Run by `npm run test:newest`/.test(section))
    if (hasCommands) t.equal(isTyped, !isTold, title)
  }
})

t.test('Docker', async t => {
  const reader = await open(t)
  const { tar } = await makePage(reader)
  const dockerd = await startDocker(reader, tar, 'nginx:alpine')
  await typeAll(t, reader, typed('## Docker'))
  await answers(t, reader)
  await reader.type('docker rm -f web')
  await dockerd.stop()
})

t.test('Docker Compose', async t => {
  const reader = await open(t)
  const { host } = reader
  const { tar } = await makePage(reader)
  const dockerd = await startDocker(reader, tar, 'nginx:alpine')
  mkdirSync(host.path('/srv/shop'))
  writeFileSync(host.path('/srv/shop/compose.yaml'), blockOf('services:'))
  const isSecond = (await reader.try('docker compose version')).code === 0
  const asHere = (text: string) =>
    isSecond ? text : text.replace('docker compose', 'docker-compose').replaceAll('shop-web-1', 'shop_web_1')
  const lines = typed('## Docker Compose').map(each => ({
    ...each,
    command: `cd /srv/shop && ${asHere(each.command)}`,
    prints: each.prints.map(asHere),
  }))
  await typeAll(t, reader, lines)
  await answers(t, reader)
  await reader.type(asHere('cd /srv/shop && docker compose down --timeout 0'))
  await dockerd.stop()
})

t.test('podman', async t => {
  const reader = await open(t)
  const { tar } = await makePage(reader)
  await preparePodman(
    reader,
    tar,
    'nginx:alpine',
    hasCni() ? block('[network]').replace('ports', 'front') : '',
  )
  if (hasCni()) await typeAll(t, reader, typed('## podman'), PODMAN_ENVIRONMENT)
  else
    await reader.type(
      'podman run -d --name web --network none nginx:alpine && tsnet attach front web -p 8080:80',
    )
  await answers(t, reader)
  await reader.type('podman rm --force --all --time 0', PODMAN_ENVIRONMENT)
})

if (!hasCni())
  t.test('podman 5 and 6', async t => {
    const reader = await open(t)
    const { tar } = await makePage(reader)
    const settings = `[network]\nnetavark_plugin_dirs = ["${resolve('dist/netavark')}"]\n`
    await preparePodman(reader, tar, 'nginx:alpine', settings)
    await typeAll(t, reader, typed(NEWEST), PODMAN_ENVIRONMENT)
    await answers(t, reader)
    await reader.type('podman rm --force --all --time 0', PODMAN_ENVIRONMENT)
    await reader.type('podman network rm shared back', PODMAN_ENVIRONMENT)
  })

t.test('LXC', async t => {
  const reader = await open(t)
  const lxc = await Lxc.start(reader.host)
  await makePage(reader)
  lxc.create('web', undefined, SERVE)
  await reader.type('cp /srv/rootfs/www/index.html /var/lib/lxc/web/rootfs/www/')
  await lxc.up('web')
  await typeAll(t, reader, typed('## LXC'))
  await answers(t, reader)
  await lxc.down('web')
})

t.test('runc, with a hook', async t => {
  const reader = await open(t)
  const sample = readFileSync('conf/oci-hook.json', 'utf8').replace('"ports"', '"front"')
  await makeBundle(reader, JSON.parse(sample))
  await typeAll(t, reader, typed('## runc and crun'))
  await answers(t, reader)
  await reader.type('runc delete --force web')
})
