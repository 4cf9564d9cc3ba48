/**
 * Lists that have other networks by their names.
 *
 *     client ── lan0 host ─┬─ front ── web, bare   who ask
 *                          ├─ open ─── a           may be addressed by others (--direct)
 *                          └─ shut ─── b           only by the host
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t from 'tap'
import { contains, parseIp } from '../../src/model/address/address.ts'
import { isOfAddresses } from '../../src/model/address/reach.ts'
import type { Attachment } from '../../src/model/network.ts'
import type { Reached } from '../../src/network/reached.ts'
import { FOLDER, withNetworks } from '../support/networks.ts'
import { answering } from '../support/reach.ts'
import { ANSWERS, BACKENDS } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

for (const backend of BACKENDS) {
  t.test(
    `${backend}: a network in a list is its subnets, of both families, and its entry is told`,
    async t => {
      const { scene, tsnet, network, attempt, join } = await withNetworks(t, backend, 'web', 'bare', 'a', 'b')
      for (const [name, ...more] of [['open', '--direct'], ['shut']] as const)
        await network('create', name, '--ipv6', ...more)
      t.match(await attempt('create', 'front', '--egress', 'network:opem:80'), {
        code: 1,
        stderr:
          /"network:opem:80\/tcp" is no network of this host, which has front, open, shut; did you mean "open"\?/,
      })
      await network(
        'create',
        'front',
        '--ipv6',
        '--egress',
        `network:open:${ANSWERS}`,
        '--egress',
        'network:front',
      )
      const a = await join('open', 'a')
      const b = await join('shut', 'b')
      for (const name of ['a', 'b']) scene.get(name).listen('tcp', 81)
      await join('front', 'web')
      await tsnet.run('attach', 'front', 'netns:bare', '--egress', '0.0.0.0/0', '--egress', '::/0')
      const [web, bare] = [scene.get('web'), scene.get('bare')]
      for (const to of a) {
        t.equal(await answering(web, 'tcp', to, ANSWERS), 'a', `its network is in the list: ${to}`)
        t.equal(await answering(web, 'tcp', to, 81), 'nobody', 'another port')
        t.equal(await answering(bare, 'tcp', to, 81), 'a', 'control: another list')
      }
      for (const to of b) t.equal(await answering(web, 'tcp', to, ANSWERS), 'nobody', 'another network')
      const rows = JSON.parse((await tsnet.run('egress', 'netns:web', '--json')).stdout) as Reached[]
      t.match(
        rows.filter(({ outcome }) => outcome === 'allowed'),
        [
          { entry: `network:open:${ANSWERS}/tcp`, packets: Number },
          { entry: 'network:front', packets: 0 },
        ],
        'a network is one entry, however many subnets it has',
      )
      t.ok((rows[0]?.packets ?? 0) > 0)
      const record = scene.host.path(`/run/tsnet/attachments/${rows[0]?.owner}.json`)
      const { attachment } = JSON.parse(readFileSync(record, 'utf8')) as { attachment: Attachment }
      const written = attachment.reach?.allow.filter(each => each.network === 'open') ?? []
      t.strictSame(
        a.map(to => written.filter(isOfAddresses).some(each => contains(each.to, parseIp(to)))),
        [true, true],
        'as prefixes, by which builds that know no networks hold the same list',
      )
      await tsnet.run('detach', 'front', 'netns:web')

      // Only the host may address the containers of shut: a list of who leaves lets nobody in there.
      const { stderr } = await tsnet.run(
        'attach',
        'front',
        'netns:web',
        '--egress',
        `network:shut:${ANSWERS}`,
      )
      t.match(
        stderr,
        /egress\.allow has network shut, to whose containers' own addresses nobody but the host may send/,
      )
      for (const to of b) {
        t.equal(await answering(web, 'tcp', to, ANSWERS), 'nobody')
        t.equal(await answering(bare, 'tcp', to, ANSWERS), 'nobody', 'as for everybody else')
        t.equal(await answering(scene.host, 'tcp', to, ANSWERS), 'b', 'control: the host')
      }
      await network('rm', '--force', 'shut')
      t.equal(
        (await tsnet.run('reconcile', '--dry-run')).stdout,
        'nothing is lacking\n',
        'what was resolved is written down',
      )
    },
  )
}

t.test('a network that is not there, or says no subnet, is refused before anything is changed', async t => {
  const { scene, tsnet, network } = await withNetworks(t, 'nftables', 'web')
  await network('create', 'back', '--layer2')
  await network('create', 'front')
  const elsewhere = scene.host.path(`${FOLDER}/more/other.conflist`)
  mkdirSync(dirname(elsewhere), { recursive: true })
  const list = (name: string, ipam: object, allow?: string[]) =>
    JSON.stringify({
      cniVersion: '1.0.0',
      name,
      plugins: [
        { type: 'tsnet', bridge: `br-${name}`, isGateway: true, ipam, ...(allow && { egress: { allow } }) },
      ],
    })
  const hostLocal = (subnet: string) => ({ type: 'host-local', subnet })
  writeFileSync(scene.host.path(`${FOLDER}/50-dhcp.conflist`), list('leased', { type: 'dhcp' }))
  writeFileSync(
    scene.host.path(`${FOLDER}/60-own.conflist`),
    list('own', hostLocal('10.77.0.0/24'), ['network:own:80', 'network:nowhere', 'network:leased']),
  )
  writeFileSync(
    elsewhere,
    list('other', hostLocal('10.66.0.0/24'), ['network:other', 'network:another:53/udp']),
  )
  writeFileSync(
    scene.host.path(`${FOLDER}/more/another.conflist`),
    list('another', hostLocal('10.67.0.0/24')),
  )
  await scene.remember()
  for (const [entry, why] of [
    ['network:bak', /is no network of this host, which has .*; did you mean "back"\?/],
    [
      'network:back',
      /"network:back" is a network whose list says no subnet: its addresses come from elsewhere/,
    ],
    ['network:leased:53/udp', /"network:leased:53\/udp" is a network whose list says no subnet/],
  ] as const)
    t.match(await tsnet.try('attach', 'front', 'netns:web', '--egress', entry), { code: 1, stderr: why })
  t.match(await tsnet.try('attach', 'front', 'netns:web', '--egress', 'network:back:x'), {
    code: 2,
    stderr: /"network:back:x" is no network, perhaps with a port/,
  })
  t.strictSame(await scene.residue(line => !line.includes('/var/lib/cni/results ')), [])
  const checked = await tsnet.try('check', `${FOLDER}/60-own.conflist`)
  t.match(checked.stdout, /error: egress\.allow: "network:nowhere" is no network of this host/)
  t.match(checked.stdout, /error: egress\.allow: "network:leased" is a network whose list says no subnet/)
  t.notMatch(checked.stdout, /"network:own:80\/tcp"/)
  await tsnet.run('attach', '--conf-dir', `${FOLDER}/more`, 'other', 'netns:web')
  const rows = JSON.parse((await tsnet.run('egress', 'netns:web', '--json')).stdout) as Reached[]
  t.match(
    rows.map(({ entry }) => entry),
    ['network:other', 'network:another:53/udp'],
    'and of the folder that was named',
  )
})
