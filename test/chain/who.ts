import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { writeCached } from '../../src/chain/cache.ts'
import { containerIdOf, hostOf, remembered } from '../../src/chain/chain.ts'

process.env.TSNET_RUN_DIR = mkdtempSync(join(tmpdir(), 'tsnet-run-'))
const host = { ...hostOf({}), cache: mkdtempSync(join(tmpdir(), 'tsnet-cache-')) }
const long = '4f2a'.padEnd(64, '0')

function remember(containerId: string, name: string, network = 'front'): void {
  writeCached(host.cache, {
    ...{ network, containerId, ifname: 'eth0', netns: '', capabilities: {}, list: '{}', result: {} },
    args: [['K8S_POD_NAME', name]],
  })
}

remember(long, 'web')
remember('one', 'twin')
remember('two', 'twin')
remember('pid-812', '812')
remember('web', 'other', 'back')

t.test("an id is the runtime's, or made of what there is", async t => {
  t.equal(containerIdOf({ runtime: 'docker', id: long, name: 'web' }), long)
  t.equal(containerIdOf({ runtime: 'pid', id: '812', name: '812' }), 'pid-812')
  for (const name of ['web', '/run/netns/web', '/var/run/netns/web']) {
    t.equal(containerIdOf({ runtime: 'netns', id: name, name }), 'web', name)
  }
  for (const name of ['/proc/1/ns/net', '../x', 'a b', '_x', 'x'.repeat(200)]) {
    t.match(containerIdOf({ runtime: 'netns', id: name, name }), /^netns-[0-9a-f]{16}$/, name)
  }
  t.match(containerIdOf({ runtime: 'runc', id: 'a+b', name: 'a+b' }), /^runc-[0-9a-f]{16}$/)
})

t.test('who is gone is found by id, the beginning of it, or name, on that network alone', async t => {
  for (const word of [
    long,
    long.slice(0, 12),
    'web',
    'docker:web',
    `containerd:k8s.io/${long.slice(0, 20)}`,
  ]) {
    t.strictSame(remembered(word, 'front', host), [long], word)
  }
  t.strictSame(remembered('pid:812', 'front', host), ['pid-812'])
  t.strictSame(remembered('web', 'back', host), ['web'])
  t.strictSame(remembered('twin', 'front', host), ['one', 'two'])
  t.strictSame(remembered('4f2a', 'front', host), [])
  t.strictSame(remembered('nobody', 'front', host), [])
})

t.test('networks and plugins are where cnitool would look', async t => {
  t.match(hostOf({}), { confDir: '/etc/cni/net.d', cache: '/var/lib/cni/results' })
  t.ok(hostOf({}).path.includes('/opt/cni/bin'))
  const host = hostOf({ CNI_PATH: '/a::/b', NETCONFPATH: '/c' })
  t.match(host, { confDir: '/c', path: ['/a', '/b'] })
  t.equal(hostOf({ NETCONFPATH: '/c' }, '/d').confDir, '/d')
})
