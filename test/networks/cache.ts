import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { listCached, removeCached, writeCached } from '../../src/networks/cache.ts'
import { listCniCache } from '../../src/runtime/sources/cni-cache.ts'

const attachment = {
  network: 'front',
  containerId: 'web-1',
  ifname: 'eth0',
  netns: '/run/netns/web',
  args: [['IgnoreUnknown', '1']] as [string, string][],
  capabilities: { portMappings: [{ hostPort: 80 }] },
  list: '{"name":"front"}',
  result: { cniVersion: '1.0.0' },
}

const folder = () => join(mkdtempSync(join(tmpdir(), 'tsnet-cache-')), 'results')

t.test('an entry has the name and the keys of libcni, and is for root alone', async t => {
  const path = folder()
  writeCached(path, attachment)
  const file = join(path, 'front-web-1-eth0')
  t.strictSame(JSON.parse(readFileSync(file, 'utf8')), {
    kind: 'cniCacheV1',
    containerId: 'web-1',
    config: 'eyJuYW1lIjoiZnJvbnQifQ==',
    ifName: 'eth0',
    networkName: 'front',
    netns: '/run/netns/web',
    cniArgs: [['IgnoreUnknown', '1']],
    capabilityArgs: { portMappings: [{ hostPort: 80 }] },
    result: { cniVersion: '1.0.0' },
  })
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(statSync(path).mode & 0o777, 0o700)
  t.strictSame(listCached(path), [attachment])
  t.match(listCniCache(path), [{ runtime: 'cni', id: 'web-1', netnsPath: '/run/netns/web' }])
  removeCached(path, attachment)
  t.strictSame(readdirSync(path), [])
  removeCached(path, attachment)
})

t.test('what libcni leaves out has its default, and what is no entry is none', async t => {
  const path = folder()
  writeCached(path, { ...attachment, args: [], capabilities: {} })
  t.strictSame(listCached(path), [{ ...attachment, args: [], capabilities: {} }])
  const least = { kind: 'cniCacheV1', containerId: 'db', ifName: 'eth0', networkName: 'front' }
  for (const [name, text] of [
    ['a', '{'],
    ['b', '{"kind":"other"}'],
    ['c', '[]'],
    ['d', JSON.stringify({ ...least, containerId: 7 })],
    ['front-db-eth0', JSON.stringify(least)],
  ] as const) {
    writeFileSync(join(path, name), text)
  }
  t.strictSame(
    listCached(path).map(({ containerId, netns, list }) => [containerId, netns, list]),
    [
      ['db', '', ''],
      ['web-1', '/run/netns/web', '{"name":"front"}'],
    ],
  )
  t.strictSame(listCached('/nowhere'), [])
})
