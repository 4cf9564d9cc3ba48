/** `tsnet egress learn` where the network tells names: what a container reached is printed as what it asked for. */

import t from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import { EXECUTABLE } from '../support/daemon.ts'
import { askUdp } from '../support/dns.ts'
import { dataOf } from '../support/names.ts'
import { answering } from '../support/reach.ts'
import { far, GATEWAY, type NamesSite, openNamesSite } from '../support/reach-names-site.ts'
import { ANSWERS, CLIENT, HOST } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

async function watch({ scene }: NamesSite, who: string): Promise<Running> {
  const watching = scene.host.start(EXECUTABLE, 'egress', 'learn', who, '--json')
  await waitFor(() => watching.stderr.includes(`watching ${who}`), { what: 'it to watch' })
  return watching
}

async function learned(watching: Running): Promise<string[]> {
  const { stdout } = await watching.stop('SIGINT')
  return JSON.parse(stdout) as string[]
}

/** Asks for a name as a program does, and speaks to its first address. */
async function use({ scene }: NamesSite, who: string, name: string, port: number): Promise<string> {
  const from = scene.get(who)
  const said = dataOf(await askUdp(from, { server: GATEWAY[4], name }))
  const to = (Array.isArray(said) ? said : []).findLast(each => /^[\d.]+$/.test(String(each)))
  return to === undefined ? String(said) : await answering(from, 'tcp', String(to), port)
}

t.test('names are printed that the container asked for, and addresses where no name would do', async t => {
  const site = await openNamesSite(t, 'nftables')
  const { scene } = site
  const mate = scene.get('mate')
  t.equal(await use(site, 'mate', 'many.example.org', ANSWERS), 'client', 'before')
  const watching = await watch(site, 'mate')
  const other = await watch(site, 'boxed')
  t.equal(await use(site, 'mate', 'registry.example.org', ANSWERS), 'client')
  t.equal(await use(site, 'mate', 'twice.example.org', 81), 'client', 'a second name of the same address')
  t.equal(await use(site, 'mate', 'Alias.example.org', 81), 'client', 'by way of a CNAME')
  t.equal(await use(site, 'mate', 'near.example.org', 81), 'client', 'at a private address')
  t.equal(await use(site, 'mate', 'own.example.org', 81), 'host')
  t.equal(await answering(mate, 'tcp', far(8)[4], ANSWERS), 'client', 'without a name')
  t.equal(await answering(mate, 'tcp', HOST[4], 81), 'host')
  await askUdp(mate, { server: GATEWAY[4], name: 'a.wild.example.org' })
  t.strictSame(await learned(watching), [
    '192.168.50.2:81/tcp',
    `${far(12)[4]}:${ANSWERS}/tcp`,
    `${far(8)[4]}:${ANSWERS}/tcp`,
    'alias.example.org:81/tcp',
    'host:81/tcp',
    `registry.example.org:${ANSWERS}/tcp`,
    'registry.example.org:81/tcp',
    `twice.example.org:${ANSWERS}/tcp`,
    'twice.example.org:81/tcp',
  ])
  t.strictSame(await learned(other), [], 'another container did nothing')
})

t.test('of a container with a list, names that allowed and names that were denied are printed', async t => {
  const site = await openNamesSite(t, 'nftables')
  t.equal(await use(site, 'boxed', 'b.c.wild.example.org', ANSWERS), 'client', 'before')
  const watching = await watch(site, 'boxed')
  t.equal(await use(site, 'boxed', 'registry.example.org', ANSWERS), 'client')
  t.equal(await use(site, 'boxed', 'a.wild.example.org', 81), 'client')
  t.equal(await use(site, 'boxed', 'other.example.org', ANSWERS), 'nobody', 'it is told, and not let')
  t.strictSame(await learned(watching), [
    `*.wild.example.org:${ANSWERS}/tcp`,
    'a.wild.example.org:81/tcp',
    `other.example.org:${ANSWERS}/tcp`,
    `registry.example.org:${ANSWERS}/tcp`,
  ])
  await site.box.check(site.scene.get('boxed'), site.results.boxed)
})

t.test('a successor of the daemon is listened to, and without one addresses are printed', async t => {
  const site = await openNamesSite(t, 'nftables')
  const { tsnet, daemon } = site
  const watching = await watch(site, 'mate')
  t.equal(await use(site, 'mate', 'registry.example.org', ANSWERS), 'client')
  const next = await tsnet.daemon('--replace')
  await daemon.finished
  await waitFor(() => watching.stderr.includes('listened to again'), {
    what: 'the successor to be listened to',
  })
  t.equal(await use(site, 'mate', 'alias.example.org', 81), 'client')
  await next.stop()
  t.equal(await answering(site.scene.get('mate'), 'tcp', far(8)[4], ANSWERS), 'client')
  await waitFor(() => watching.stderr.includes('no daemon runs'), { what: 'it to say so' })
  t.strictSame(await learned(watching), [
    `${far(8)[4]}:${ANSWERS}/tcp`,
    'alias.example.org:81/tcp',
    `registry.example.org:${ANSWERS}/tcp`,
  ])
  const alone = await watch(site, 'mate')
  t.match(alone.stderr, /tsnet: addresses may lack their names: no daemon runs/)
  t.equal(await answering(site.scene.get('mate'), 'tcp', far(7)[4], ANSWERS), 'client')
  t.match(await learned(alone), [`${far(7)[4]}:${ANSWERS}/tcp`])
})

t.test('on a network that tells no names addresses are printed, and it is said why', async t => {
  const site = await openNamesSite(t, 'nftables')
  const { scene } = site
  const plain = scene.network('plain', 2)
  await site.box.delete(scene.get('mate'))
  await plain.add(scene.get('mate'))
  const watching = await watch(site, 'mate')
  t.match(watching.stderr, /tsnet: addresses have no names on plain, which tells none/)
  t.equal(await answering(scene.get('mate'), 'tcp', CLIENT[4], ANSWERS), 'client')
  t.strictSame(await learned(watching), [`${CLIENT[4]}:${ANSWERS}/tcp`])
})
