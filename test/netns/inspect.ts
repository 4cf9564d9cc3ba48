/**
 * What `tsnet inspect` tells of a container, a port and a network, by hand and with a daemon.
 *
 *     client eth0 ───── lan0 host ─── ts-front ── web, api
 */

import t from 'tap'
import type { Inspected, InspectedContainer } from '../../src/networks/networks.ts'
import { residue, withNetworks } from '../support/networks.ts'
import { BACKENDS } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

for (const backend of BACKENDS) {
  t.test(`${backend}: all that is known is told, and what somebody took away`, async t => {
    const stage = await withNetworks(t, backend, 'web', 'api')
    const { scene, network, tsnet, leave, join } = stage
    const inspect = async (...words: string[]): Promise<Inspected[]> =>
      JSON.parse((await tsnet.run('inspect', ...words, '--json')).stdout)
    await network('create', 'front')
    const attached = await tsnet.run('attach', 'front', 'netns:web', '--publish', '8080:80')
    const [, address = ''] = / (10\.[\d.]+)\/24/.exec(attached.stdout) ?? []
    await join('front', 'api')

    const [web, port, front, again] = (await inspect('web', '8080', 'front', address)) as [
      InspectedContainer,
      ...Inspected[],
    ]
    t.match(web, { type: 'container', name: 'web', ports: [{ hostPort: 8080, target: { port: 80 } }] })
    const [attachment] = web.attachments
    t.match(attachment, {
      network: 'front',
      state: 'attached',
      interface: { name: 'eth0', mtu: 1500 },
      addresses: [{ address: `${address}/24`, gateway: String, lease: new RegExp(`/front/${address}$`) }],
      bridge: { name: 'ts-front' },
      rules: backend,
      faults: [],
    })
    t.same(again, web, 'an address means its container')
    t.match(port, {
      type: 'port',
      hostPort: 8080,
      containers: [{ name: 'web' }],
      network: 'front',
      source: 'cni',
    })
    t.match(front, {
      type: 'network',
      pools: [{ used: 2 }],
      containers: [{ name: 'api' }, { name: 'web', addresses: [`${address}/24`] }],
    })
    const text = (await tsnet.run('inspect', 'web', '8080', 'front')).stdout
    t.match(text, /^container web.*\n {2}ports +\*:8080\/tcp -> 80 .*\n {2}on front {2}attached since/)
    t.match(text, new RegExp(`\\n    addresses +${address}/24 via `))
    t.match(text, /\n {4}state +all as it was made\n\nport \*:8080\/tcp {2}/)
    t.match(text, /\n\nnetwork front\n {2}list .*90-front.conflist\n/)
    const { name = '' } = attachment?.hostInterface ?? {}
    await scene.host.run('ip', 'link', 'set', 'dev', name, 'nomaster')
    const [harmed] = (await inspect('web')) as InspectedContainer[]
    t.match(
      harmed?.attachments[0]?.faults.join('\n'),
      new RegExp(`${name} is (no port of|not plugged into) `),
    )

    await leave('front', 'web')
    await leave('front', 'api')
    await network('rm', 'front')
    t.same(await residue(stage), [])
  })
}

t.test('a word that means several things, or nothing, is told with what to write instead', async t => {
  const stage = await withNetworks(t, 'nftables', 'front')
  const { network, tsnet, join, leave } = stage
  await network('create', 'front')
  await join('front', 'front')
  t.match(await tsnet.try('inspect', 'front'), {
    code: 2,
    stdout: '',
    stderr: /"front" is a container and a network; write --type container or --type network/,
  })
  const template = ['--format', '{{.Type}} {{.Networks}} {{.Bridge}}'] as const
  t.equal(
    (await tsnet.run('inspect', 'front', '--type', 'network', ...template)).stdout,
    'network front ts-front\n',
  )
  t.match(await tsnet.try('inspect', 'frnt'), {
    code: 1,
    stdout: '',
    stderr: /"frnt"; did you mean "front"\?/,
  })
  t.match(await tsnet.try('inspect', 'front', '--type', 'netwrk'), {
    code: 2,
    stderr: /did you mean "network"\?/,
  })
  await leave('front', 'front')
  await network('rm', 'front')
  t.same(await residue(stage), [])
})

t.test('a daemon tells who is attached as the records do, and what has come and gone since', async t => {
  const stage = await withNetworks(t, 'nftables', 'web', 'api')
  const { network, tsnet, join, leave } = stage
  const listed = async (...words: string[]) => (await tsnet.run('ps', '--json', ...words)).stdout
  await network('create', 'front')
  await join('front', 'web')
  const byRecords = await listed()
  t.match(JSON.parse(byRecords), [{ name: 'web', state: 'attached', network: 'front' }])
  const daemon = await tsnet.daemon()
  t.equal(await listed(), byRecords)
  await join('front', 'api')
  t.match(JSON.parse(await listed()), [{ name: 'api' }, { name: 'web' }])
  t.match((await tsnet.run('inspect', 'api')).stdout, /^container api/)
  await leave('front', 'web')
  t.match(JSON.parse(await listed()), [{ name: 'api' }])
  await leave('front', 'api')
  t.equal(await listed(), '[]\n')
  await daemon.stop()
  await network('rm', 'front')
  t.same(await residue(stage), [])
})
