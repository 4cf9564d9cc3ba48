/**
 * Whoever types what docs/hosts.md says of two hosts has one network over them.
 *
 *     node1 lan0 ──────────────── lan0 node2
 *      │  192.168.1.1   192.168.1.2    │
 *     web, etcd                       web
 */

import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { type Host, lab, type Running, waitFor } from 'tsnet/lab'
import { isPrinted, readDocument } from '../support/document.ts'

t.setTimeout(600_000) // on a busy machine

const PAGE = 'docs/hosts.md'
const { block, command, typed } = readDocument(PAGE)
const SECTION = '## Two hosts in five minutes'
const [list = ''] = /\/etc\/\S+\.conflist/.exec(readFileSync(PAGE, 'utf8')) ?? []

const env = { PATH: `${process.cwd()}/dist/bin:${process.env.PATH}:/usr/sbin:/sbin` }

const type = async (host: Host, words: string): Promise<string> =>
  (await host.run('sh', '-ec', words, { env })).stdout

/** A daemon of a host that is called so. */
const daemon = (host: Host, name: string): Running =>
  host.start('unshare', '--uts', 'sh', '-ec', `hostname ${name}; exec ${block('tsnet daemon')}`, { env })

t.test('two hosts in five minutes', async t => {
  const world = await lab()
  t.teardown(() => world.end())
  const [one, two] = [await world.host('one'), await world.host('two')]
  world.wire([one, 'lan0', '192.168.1.1/24'], [two, 'lan0', '192.168.1.2/24'])
  for (const host of [one, two]) {
    await host.tmpfs('/srv', '/var/lib/tsnet')
    await type(host, 'mkdir -p /etc/cni/net.d')
    writeFileSync(host.path(list), block('{\n  "cniVersion"'))
  }
  one.start('sh', '-ec', `cd /srv; exec ${block('etcd --listen')}`)
  const daemons = [daemon(one, 'node1'), daemon(two, 'node2')]

  const [listing] = typed(SECTION)
  if (listing === undefined) throw new Error(`nothing is printed in ${SECTION}`)
  const { command: ls, prints } = listing
  await waitFor(async () => isPrinted(prints, await type(one, ls)), {
    what: `${ls} to print ${prints.join('\n')}`,
  })
  for (const host of [one, two]) await type(host, block('ip netns add web'))
  const addressesOf = async (host: Host): Promise<string[]> =>
    JSON.parse(await type(host, 'tsnet ps --json')).flatMap((each: { addresses: string[] }) => each.addresses)
  const addresses = (await addressesOf(two)).map(each => each.replace(/\/.*/, ''))
  t.equal(addresses.length, 2)
  for (const address of addresses)
    await waitFor(() => type(one, `ip netns exec web ping -c1 -W1 ${address}`), {
      what: `${address} to answer`,
    })

  await type(one, 'mkdir /srv/www; echo it is node1 >/srv/www/index.html')
  one.start('ip', 'netns', 'exec', 'web', 'busybox', 'httpd', '-f', '-p', '80', '-h', '/srv/www')
  const page = () => two.fetch('http://127.0.0.1:8080/')
  await type(two, 'tsnet detach front netns:web')
  await type(two, block('tsnet publish'))
  t.equal((await waitFor(page, { what: 'the page of the other host' })).body, 'it is node1\n')
  await type(one, block('tsnet host drain'))
  await waitFor(async () => / drained /.test(await type(two, ls)), { what: 'the host to be drained' })
  await waitFor(
    async () =>
      page().then(
        () => false,
        () => true,
      ),
    { what: 'nobody to be led to' },
  )
  await type(one, command('tsnet host drain --undo'))
  t.equal((await waitFor(page, { what: 'the page once more' })).body, 'it is node1\n')
  await type(two, 'tsnet unpublish 8080')
  await type(one, 'tsnet detach front netns:web')

  t.match(await type(one, command('tsnet host inspect')), /node2/)
  await daemons[1]?.stop('SIGTERM')
  // It counts as there until it was not heard of for a while.
  const forget = () => type(one, command('tsnet host forget'))
  await waitFor(forget, { what: 'the host to be forgotten', withinMs: 120_000 })
  t.notMatch(await type(one, ls), /node2/)
  await daemons[0]?.stop('SIGTERM')
})
