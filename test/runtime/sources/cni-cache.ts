import t from 'tap'
import { listCniCache } from '../../../src/runtime/sources/cni-cache.ts'
import { writeFiles } from '../../support/runtime-files.ts'

t.test('what libcni cached names a container and its namespace', async t => {
  const folder = t.testdir()
  const cached = { kind: 'cniCacheV1', containerId: 'web', netns: '/run/netns/web', ifName: 'eth0' }
  writeFiles(folder, {
    'front-web-eth0': cached,
    'old-web-eth0': { cniVersion: '0.4.0', ips: [] },
    'half-web-eth0': '{"kind":',
    'odd-web-eth0': { ...cached, netns: 7 },
  })
  t.same(listCniCache(folder), [{ runtime: 'cni', id: 'web', name: 'web', netnsPath: '/run/netns/web' }])
  t.same(listCniCache('/nowhere'), [])
})
