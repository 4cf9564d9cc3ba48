/**
 * Whoever types what docs/troubleshooting.md says of a symptom sees what stands there, and is rid of it: on a host that has
 * the symptom.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Place } from 'tsnet/lab'
import { readDocument } from '../support/document.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { openReader, type Reader, typeAll } from '../support/readme.ts'

t.setTimeout(600_000) // on a busy machine

const { typed } = readDocument('docs/troubleshooting.md')

/** A container, as far as a network knows: a namespace in which a page is served. */
async function serve({ host }: Reader, name: string): Promise<void> {
  mkdirSync(host.path('/srv/www'), { recursive: true })
  writeFileSync(host.path('/srv/www/index.html'), 'Hello!\n')
  await host.run('ip', 'netns', 'add', name)
  host.start('ip', 'netns', 'exec', name, '/bin/busybox', 'httpd', '-f', '-p', '80', '-h', '/srv/www')
}

/** A host on which `web` is on the network `front`, with its port 80 at the host's 8080. */
async function open(t: Test): Promise<Reader> {
  const reader = await openReader(t)
  for (const folder of ['/usr/local/bin', '/opt/cni/bin', '/usr/lib/cni'])
    await reader.type(`mkdir -p ${folder} && ln -s "$PWD/dist/bin/tsnet" ${folder}`)
  await reader.type('tsnet network create front')
  await serve(reader, 'web')
  return reader
}

/** What a host's owner thought of, and nothing else. */
const STRICT = `nft 'table inet strict { chain forward { type filter hook forward priority 0; policy drop; ct state established accept; iifname "ts-front" accept; }; }'`

/** A page is not there. */
const isMissing = async (t: Test, reader: Reader, place: Place, url: string) => {
  const { code } = await reader.try(`curl -s -m 2 ${url}`, {}, place)
  t.not(code, 0, `${url} does not answer ${place.name}`)
}

t.test('localhost hangs', async t => {
  const reader = await open(t)
  await reader.type('tsnet attach front netns:web -p 8080:80', NO_DAEMON)
  await isMissing(t, reader, reader.host, 'http://127.0.0.1:8080/')
  await typeAll(t, reader, typed('## Localhost hangs'))
})

t.test('it works from the host, not from outside', async t => {
  const reader = await open(t)
  await reader.type('tsnet attach front netns:web -p 8080:80', NO_DAEMON)
  await reader.type(STRICT)
  await isMissing(t, reader, reader.client, 'http://192.168.50.1:8080/')
  await typeAll(t, reader, typed('## It works from the host, not from outside'))
})

t.test('no address is left', async t => {
  const reader = await open(t)
  await reader.type('tsnet network create small --subnet 10.43.0.0/30')
  await serve(reader, 'db')
  await reader.type('tsnet attach small netns:db')
  const { code, stderr } = await reader.try('tsnet attach small netns:web')
  t.equal(code, 1)
  t.match(stderr, /no IP addresses available/)
  await typeAll(t, reader, typed('## No address is left'))
})
