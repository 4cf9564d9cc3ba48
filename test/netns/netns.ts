/**
 * Network namespaces as scopes, on the real kernel.
 */

import { closeSync, mkdtempSync, openSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { currentNetns, inside, openNetns, sameNamespace, tryOpenNetns } from '../../src/netns/netns.ts'
import { kernel } from '../support/kernel.ts'

/** Where the thread is, as the kernel names it. */
const whereabouts = () => readlinkSync('/proc/thread-self/ns/net')

t.test('a scope is entered and left, with its value', async t => {
  await using world = await kernel()
  const web = await world.namespace('web')
  const home = whereabouts()
  const away = inside(web.netns, whereabouts)
  t.not(away, home)
  t.equal(away, `net:[${web.netns.id.ino}]`)
  t.equal(whereabouts(), home)
})

t.test('whatever is thrown inside, the thread comes home', async t => {
  await using world = await kernel()
  const web = await world.namespace('web')
  const home = whereabouts()
  const thrown = new Error('inside')
  t.throws(() => {
    inside(web.netns, () => {
      throw thrown
    })
  }, thrown)
  t.equal(whereabouts(), home)
})

t.test('scopes nest, and each leads back to the one around it', async t => {
  await using world = await kernel()
  const web = await world.namespace('web')
  const seen = inside(world.host.netns, () => [whereabouts(), inside(web.netns, whereabouts), whereabouts()])
  t.equal(seen[0], seen[2])
  t.not(seen[0], seen[1])
})

t.test('an asynchronous function is no scope: it does not compile', async t => {
  await using world = await kernel()
  const home = whereabouts()
  // @ts-expect-error a promise would be settled in another namespace
  await inside(world.host.netns, async () => {})
  t.equal(whereabouts(), home)
})

t.test('entering leaves no descriptor behind', async t => {
  await using world = await kernel()
  const lowestFree = () => {
    const fd = openSync('/dev/null', 'r')
    closeSync(fd)
    return fd
  }
  const before = lowestFree()
  for (let i = 0; i < 100; i++) inside(world.host.netns, whereabouts)
  t.equal(lowestFree(), before)
})

t.test('what is no network namespace is refused by name', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'netns-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'file')
  writeFileSync(file, '')
  for (const [path, reason] of [
    [join(folder, 'gone'), /not found/],
    [join(file, 'below'), /not found/],
    [file, /is not a network namespace/],
    [folder, /is not a network namespace/],
    ['/proc/self/ns/mnt', /is not a network namespace/],
    ['/proc/self/ns/uts', /is not a network namespace/],
  ] as const) {
    t.throws(() => openNetns(path), { name: 'TsnetError', code: 'invalid-netns', message: reason }, path)
    t.throws(() => openNetns(path), { message: new RegExp(path.replaceAll('/', '\\/')) })
    t.equal(tryOpenNetns(path), undefined)
  }
})

t.test('a namespace is known by device and inode, whatever its path', async t => {
  await using world = await kernel()
  const [a, b] = [await world.namespace('a'), await world.namespace('b')]
  const folder = mkdtempSync(join(tmpdir(), 'netns-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const link = join(folder, 'link')
  symlinkSync(world.host.path(a.path), link)
  using opened = openNetns(link)
  t.ok(sameNamespace(opened.id, a.netns.id))
  t.notOk(sameNamespace(opened.id, b.netns.id))

  rmSync(link)
  symlinkSync(world.host.path(b.path), link)
  t.equal(inside(opened, whereabouts), `net:[${a.netns.id.ino}]`, 'the path is looked up once')

  using here = currentNetns()
  t.equal(`net:[${here.id.ino}]`, whereabouts())
})
