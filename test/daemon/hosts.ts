import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { HostNetworks } from '../../src/daemon/hosts/hosts.ts'

const folder = mkdtempSync(join(tmpdir(), 'lists-'))
t.teardown(() => rmSync(folder, { recursive: true }))
process.env.NETCONFPATH = folder

const listed = (name: string, hosts: object | undefined): void =>
  writeFileSync(
    join(folder, `${name}.conflist`),
    JSON.stringify({
      cniVersion: '1.0.0',
      name,
      plugins: [{ type: 'tsnet', bridge: 'front0', isGateway: true, hosts }],
    }),
  )

t.test('lists are looked at as soon as a daemon is there, and then now and then', async t => {
  const lines: string[] = []
  listed('alone', undefined)
  listed('front', { engine: 'consul' })
  const networks = new HostNetworks(
    line => lines.push(line),
    () => {},
  )
  await networks.tend()
  t.match(lines, [/^network front: hosts.engine: "consul" is not "etcd"/])
  listed('back', { engine: 'zookeeper' })
  await networks.tend()
  t.equal(lines.length, 1, 'not again at once')
  await networks.tend(true)
  t.ok(
    lines.some(line => line.startsWith('network back: ')),
    'unless somebody says so',
  )
  t.notOk(networks.isNeeded)
  t.strictSame(networks.list(), { hosts: [], troubles: [] })
  t.throws(() => networks.of('front'), { code: 'invalid-environment' })
  await networks.end()
})
