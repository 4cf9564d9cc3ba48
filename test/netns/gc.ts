/**
 * What `tsnet gc` takes away: all that is left of a container whose namespace is gone, and nothing of the other.
 *
 *     client eth0 ───── lan0 host ─── ts-front ── web, api
 */

import { existsSync, writeFileSync } from 'node:fs'
import t from 'tap'
import type { Garbage } from '../../src/networks/networks.ts'
import { residue, withNetworks } from '../support/networks.ts'
import { BACKENDS, HOST } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

for (const backend of BACKENDS) {
  t.test(`${backend}: what is left of the dead goes, and the living stay`, async t => {
    const stage = await withNetworks(t, backend, 'web', 'api')
    const { scene, network, tsnet, leave } = stage
    const gc = async (...words: string[]): Promise<(Garbage & { outcome: string })[]> =>
      JSON.parse((await tsnet.run('gc', ...words, '--json')).stdout)
    t.match(await tsnet.run('gc'), { stdout: 'nothing is left of anybody\n' }, 'on an empty host')
    await network('create', 'front')
    await tsnet.run('attach', 'front', 'netns:web', '--publish', '8080:80')
    await tsnet.run('attach', 'front', 'netns:api', '--publish', '8081:80')
    t.same(await gc(), [], 'of two that live')

    await scene.get('web').remove()
    const torn = scene.host.path('/run/tsnet/ports/tcp-9.json.tmp')
    writeFileSync(torn, '[')
    const before = await scene.host.run('sh', '-c', 'iptables-save; nft list ruleset; ls -R /run/tsnet')
    const found = await gc('--dry-run')
    t.match(
      found.map(({ kind, what, outcome }) => ({ kind, what, outcome })),
      [
        { kind: 'attachment', what: /web/, outcome: 'dead' },
        { kind: 'lease', what: /^10\./, outcome: 'dead' },
        { kind: 'file', what: /tcp-9\.json\.tmp$/, outcome: 'dead' },
      ],
    )
    const after = await scene.host.run('sh', '-c', 'iptables-save; nft list ruleset; ls -R /run/tsnet')
    const settled = (text: string) => text.replace(/^#.*$|\[\d+:\d+\]|packets \d+ bytes \d+/gm, '')
    t.equal(settled(after.stdout), settled(before.stdout), 'a dry run changes nothing')

    const removed = await gc()
    t.same(
      removed.map(({ outcome, ...each }) => [outcome, each]),
      found.map(({ outcome: _, ...each }) => ['removed', each]),
    )
    t.notOk(existsSync(torn))
    t.same(await gc(), [], 'asked again')
    t.equal((await scene.client.ask('tcp', HOST[4], 8081)).place, 'api', 'who lives is reached')
    const [front] = JSON.parse((await tsnet.run('inspect', 'front', '--json')).stdout)
    t.match(front, { containers: [{ name: 'api' }], pools: [{ used: 1 }] })

    await leave('front', 'api')
    await network('rm', 'front')
    // The namespace went by our hand.
    t.same(await residue(stage, line => !/ web |\/netns\/web /.test(line)), [])
  })
}

t.test('words that are none change nothing', async t => {
  const { tsnet } = await withNetworks(t, 'nftables')
  t.match(await tsnet.try('gc', 'front'), { code: 2, stdout: '' })
  t.match(await tsnet.try('gc', '--dry'), { code: 2, stdout: '' })
})
