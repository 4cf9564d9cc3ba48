import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { containerIdOf, remembered } from '../../src/chain/chain.ts'
import type { Runtime } from '../../src/model/publication/publication.ts'
import { writeCached } from '../../src/networks/cache.ts'
import { hostOf } from '../../src/networks/places.ts'

process.env.TSNET_RUN_DIR = mkdtempSync(join(tmpdir(), 'tsnet-run-'))
const host = { ...hostOf({}), cache: mkdtempSync(join(tmpdir(), 'tsnet-cache-')) }
const long = '4f2a'.padEnd(64, '0')

function remember(containerId: string, name?: string, network = 'front', space?: string): void {
  const args: [string, string | undefined][] = [
    ['K8S_POD_NAME', name],
    ['K8S_POD_NAMESPACE', space],
  ]
  writeCached(host.cache, {
    ...{ network, containerId, ifname: 'eth0', netns: '', capabilities: {}, list: '{}', result: {} },
    args: args.filter((each): each is [string, string] => each[1] !== undefined),
  })
}

remember(long, 'web')
remember('one', 'twin')
remember('two', 'twin')
remember('pid-812', '812')
remember('web', 'other', 'back')
remember('default-db')
remember('shop-db', undefined, 'back')
remember('default-db', undefined, 'back')
remember(`shop-${long.replace('4', '5')}`)
remember('sandbox', 'cart', 'front', 'shop')

/** @param reference where it is not simply runtime and name */
const idOf = (runtime: Runtime, id: string, reference = `${runtime}:${id}`) =>
  containerIdOf({ runtime, id, name: id, reference })

t.test("an id is the runtime's, or made of what there is", async t => {
  t.equal(idOf('docker', long, 'docker:web'), long)
  t.equal(idOf('pid', '812'), 'pid-812')
  for (const name of ['web', '/run/netns/web', '/var/run/netns/web']) {
    t.equal(idOf('netns', name), 'web', name)
  }
  for (const name of ['/proc/1/ns/net', '../x', 'a b', '_x', 'x'.repeat(200)]) {
    t.match(idOf('netns', name), /^netns-[0-9a-f]{16}$/, name)
  }
  t.match(idOf('runc', 'a+b'), /^runc-[0-9a-f]{16}$/)
  t.equal(idOf('containerd', 'web', 'containerd:default/web'), 'default-web', 'as ctr calls it')
  t.equal(idOf('containerd', long, 'containerd:shop/web'), `shop-${long}`, 'as nerdctl calls it')
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

t.test('who is gone is found by the name that its user gave, whatever a runtime made of it', async t => {
  for (const word of ['db', 'default/db', 'containerd:db', 'containerd:default/db', 'default-db'])
    t.strictSame(remembered(word, 'front', host), ['default-db'], word)
  t.strictSame(remembered('shop/db', 'back', host), ['shop-db'])
  t.strictSame(remembered('docker:db', 'front', host), [])
  for (const word of ['cart', 'shop/cart', 'cri:shop/cart'])
    t.strictSame(remembered(word, 'front', host), ['sandbox'], word)
  t.strictSame(remembered('other/cart', 'front', host), [])
  const nerdctls = long.replace('4', '5')
  t.strictSame(remembered(`containerd:shop/${nerdctls.slice(0, 12)}`, 'front', host), [`shop-${nerdctls}`])
})

t.test('networks and plugins are where cnitool would look', async t => {
  t.match(hostOf({}), { confDir: '/etc/cni/net.d', cache: '/var/lib/cni/results' })
  t.ok(hostOf({}).path.includes('/opt/cni/bin'))
  const host = hostOf({ CNI_PATH: '/a::/b', NETCONFPATH: '/c' })
  t.match(host, { confDir: '/c', path: ['/a', '/b'] })
  t.equal(hostOf({ NETCONFPATH: '/c' }, '/d').confDir, '/d')
})
