/**
 * What a build fetches: learned in a container that may reach everybody, and done again in one that has that list.
 *
 *     client .2 ──────────────── lan0 host ── br-box ──┬ free      reaches everybody, is watched
 *     203.0.113.9           mirror, behind a CNAME      ├ built     has what was learned
 *     203.0.113.10, .11     files, where .11 listens    └ lacking   a control: the same without one entry
 *     203.0.113.12          git
 *     203.0.113.13          other, of which nobody asks
 *
 * The programs are busybox wget, curl and git, which ask by the resolv.conf that a runtime makes.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Namespace, waitFor } from 'tsnet/lab'
import type { Reached } from '../../src/network/reached.ts'
import { Command, EXECUTABLE } from '../support/daemon.ts'
import { NameServer } from '../support/dns.ts'
import { NAMES } from '../support/names.ts'
import { CLIENT, Scene } from '../support/scene.ts'

t.setTimeout(900_000) // on a busy machine

const at = (n: number): string => `203.0.113.${n}`

const ADDRESSES: Record<string, string[]> = {
  'edge.cdn.example.net': [at(9)],
  'files.example.org': [at(10), at(11)],
  'git.example.org': [at(12)],
  'other.example.org': [at(13)],
}

function answersOf(name: string, type: string) {
  const edge = 'edge.cdn.example.net'
  const isAlias = name === 'mirror.example.org'
  const found = type === 'A' ? (ADDRESSES[isAlias ? edge : name] ?? []) : []
  return [
    ...(isAlias ? [{ name, type: 'CNAME' as const, ttl: 30, data: edge }] : []),
    ...found.map(data => ({ name: isAlias ? edge : name, type: 'A' as const, ttl: 30, data })),
  ]
}

/** Steps of a build, in order, by the entry that each needs. */
const STEPS = {
  'mirror.example.org:8080/tcp': 'timeout 8 busybox wget -q -O - http://mirror.example.org:8080/package',
  'files.example.org:8081/tcp': 'curl -fsS --connect-timeout 8 http://files.example.org:8081/package',
  'git.example.org:3000/tcp':
    'rm -rf /srv/clone && timeout 8 git clone -q http://git.example.org:3000/repo.git /srv/clone && cat /srv/clone/file',
}

const ENTRIES = Object.keys(STEPS).sort()

/** What is fetched by each step. */
const CONTENT = 'a package\n'

const did = async (where: Namespace, command: string): Promise<boolean> => {
  const env = { HOME: '/srv', GIT_CONFIG_NOSYSTEM: '1' }
  const { code, stdout } = await where.run('sh', '-c', command, { mayFail: true, env })
  return code === 0 && stdout === CONTENT
}

/** The entries whose steps fail, each step tried whatever came of those before. */
async function failures(where: Namespace): Promise<string[]> {
  const failed: string[] = []
  for (const [entry, command] of Object.entries(STEPS)) if (!(await did(where, command))) failed.push(entry)
  return failed
}

async function openBuildSite(t: Test) {
  const scene = await Scene.open('nftables', 'free', 'built', 'lacking')
  t.teardown(() => scene.close())
  const { host, client } = scene
  await host.tmpfs('/srv', '/etc')
  await client.tmpfs('/srv')
  host.route('203.0.113.0/24', CLIENT[4])
  for (const n of [9, 10, 11, 12, 13]) client.address('lo', `${at(n)}/32`)
  mkdirSync(client.path('/srv/www'))
  writeFileSync(client.path('/srv/www/package'), CONTENT)
  const git = 'git -c user.name=builder -c user.email=builder@example.org -c safe.directory=*'
  await client.run(
    'sh',
    '-ec',
    `cd /srv; git init -q work; cp www/package work/file; cd work; ${git} add file; ${git} commit -qm one
     git clone -q --bare /srv/work /srv/www/repo.git; git -C /srv/www/repo.git update-server-info`,
    { env: { HOME: '/srv', GIT_CONFIG_NOSYSTEM: '1' } },
  )
  const listen = [9, 12, 13].flatMap(n => [`${at(n)}:8080`, `${at(n)}:8081`])
  for (const where of [...listen, `${at(11)}:8081`, `${at(12)}:3000`])
    client.start('busybox', 'httpd', '-f', '-p', where, '-h', '/srv/www')
  const server = await NameServer.at(client, CLIENT[4], answersOf)
  t.teardown(() => server[Symbol.dispose]())
  await scene.remember()
  const tsnet = new Command(host, 'nftables')
  const daemon = await tsnet.daemon()
  const box = scene.network('box', 1, NAMES)
  const { dns } = await box.add(scene.get('free'))
  const { nameservers } = dns as { nameservers: string[] }
  writeFileSync(host.path('/etc/resolv.conf'), nameservers.map(each => `nameserver ${each}\n`).join(''))
  return { scene, tsnet, daemon, box }
}

t.test('a build does with the list that was learned from it, and without one entry fails there', async t => {
  const { scene, tsnet, daemon, box } = await openBuildSite(t)
  const { host } = scene
  const [free, built, lacking] = [scene.get('free'), scene.get('built'), scene.get('lacking')]
  const outside = {
    'another name': [
      `curl -fsS --connect-timeout 4 http://other.example.org:8080/package`,
      `${at(13)}:8080/tcp`,
    ],
    'another port': [
      `timeout 4 busybox wget -q -O - http://mirror.example.org:8081/package`,
      `${at(9)}:8081/tcp`,
    ],
    'an address by itself': [
      `curl -fsS --connect-timeout 4 http://${at(12)}:8080/package`,
      `${at(12)}:8080/tcp`,
    ],
  } as const

  const watching = host.start(EXECUTABLE, 'egress', 'learn', 'free', '--json')
  await waitFor(() => watching.stderr.includes('watching free'), { what: 'it to watch' })
  t.strictSame(await failures(free), [])
  const list = JSON.parse((await watching.stop('SIGINT')).stdout) as string[]
  t.strictSame(list, ENTRIES, 'each name that the build asked for, and nothing else')
  for (const [what, [command]] of Object.entries(outside)) t.ok(await did(free, command), `control: ${what}`)

  const egress = (allow: readonly string[]) => ({ config: { runtimeConfig: { egress: allow } } })
  await box.add(built, egress(list))
  t.strictSame(await failures(built), [], 'with the list all of it is done')
  for (const [what, [command]] of Object.entries(outside)) t.notOk(await did(built, command), what)
  const seen = JSON.parse((await tsnet.run('egress', 'ls', 'built', '--json')).stdout) as Reached[]
  const of = (outcome: Reached['outcome']) =>
    seen.filter(each => each.outcome === outcome && each.packets > 0).map(({ entry }) => entry)
  t.strictSame(of('allowed'), ENTRIES, 'each entry was used, and is counted by itself')
  t.strictSame(
    of('denied').sort(),
    Object.values(outside)
      .map(([, entry]) => entry)
      .sort(),
  )

  for (const entry of ENTRIES) {
    await box.add(lacking, egress(list.filter(each => each !== entry)))
    t.strictSame(await failures(lacking), [entry], `control: without ${entry}`)
    await box.delete(lacking)
  }
  for (const each of [free, built]) await box.delete(each)
  await daemon.stop()
  t.strictSame(await scene.residue(line => !/^socket client /.test(line)), [])
})
