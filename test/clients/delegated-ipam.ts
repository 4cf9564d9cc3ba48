/**
 * Debian's IPAM plugins as delegates: host-local under another name, and static, in every version of the
 * spec that they speak.
 */

import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { giveBack, obtain, verifyLeases } from '../../src/ipam/ipam.ts'
import type { IpamOptions } from '../../src/model/network.ts'
import { leaseFiles, NETWORK, owner } from '../support/leases.ts'
import { REFERENCE } from '../support/plugins.ts'

const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0']
const web = owner('web', { netns: { path: '/run/netns/web', dev: 4, ino: 7 } })

function delegated(
  cniVersion: string,
  path: string[],
  ipam: { type: string; [key: string]: unknown },
): IpamOptions {
  const config = { cniVersion, name: NETWORK, type: 'tsnet', ipam }
  return { kind: 'delegated', delegation: { plugin: ipam.type, path, args: '', config } }
}

function otherName(t: Test): { dataDir: string; bin: string } {
  const folder = t.testdir()
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  symlinkSync(join(REFERENCE, 'host-local'), join(bin, 'their-ipam'))
  return { dataDir: join(folder, 'leases'), bin }
}

for (const version of VERSIONS) {
  t.test(`host-local as a delegate, ${version}: addresses and routes, CHECK, and all given back`, async t => {
    const { dataDir, bin } = otherName(t)
    const ranges = [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00::/64' }]]
    const routes = [{ dst: '0.0.0.0/0' }, { dst: '::/0', gw: 'fd00::9' }]
    const options = delegated(version, ['/nonexistent', bin], { type: 'their-ipam', dataDir, ranges, routes })
    t.match(await obtain(options, web, []), {
      leases: [
        { address: '10.1.0.2/24', gateway: '10.1.0.1' },
        { address: 'fd00::2/64', gateway: 'fd00::1' },
      ],
      routes,
    })
    t.equal(leaseFiles(dataDir)['10.1.0.2'], 'web\r\neth0')
    const prevResult = { cniVersion: version }
    t.same(await verifyLeases(options, web, '/run/netns/web', [], prevResult), [])
    await giveBack(options, web, undefined)
    await giveBack(options, web, undefined)
    t.same(leaseFiles(dataDir), {})
  })

  t.test(`static as a delegate, ${version}: resolver settings too`, async t => {
    const options = delegated(version, [REFERENCE], {
      type: 'static',
      addresses: [{ address: '10.1.0.7/24', gateway: '10.1.0.254' }],
      routes: [{ dst: '192.0.2.0/24', gw: '10.1.0.254' }],
      dns: {
        nameservers: ['10.1.0.53'],
        domain: 'example.net',
        search: ['example.net'],
        options: ['rotate'],
      },
    })
    t.same(await obtain(options, web, []), {
      leases: [{ address: '10.1.0.7/24', gateway: '10.1.0.254' }],
      routes: [{ dst: '192.0.2.0/24', gw: '10.1.0.254' }],
      dns: {
        nameservers: ['10.1.0.53'],
        domain: 'example.net',
        search: ['example.net'],
        options: ['rotate'],
      },
    })
    await giveBack(options, web, undefined)
  })
}

t.test('what a delegate refuses, and what its CHECK misses, comes back in its words', async t => {
  const { dataDir, bin } = otherName(t)
  const small = [[{ subnet: '10.1.0.0/30' }]]
  const options = delegated('1.0.0', [bin], { type: 'their-ipam', dataDir, ranges: small })
  t.match(await verifyLeases(options, web, '/run/netns/web', [], { cniVersion: '1.0.0' }), [
    /^ipam plugin their-ipam: host-local: Failed to find address added by container web/,
  ])
  await obtain(options, web, [])
  await t.rejects(obtain(options, owner('next', { netns: { path: '/x', dev: 1, ino: 1 } }), []), {
    code: 'delegate',
    pluginCode: 999,
    message: 'failed to allocate for range 0: no IP addresses available in range set: 10.1.0.1-10.1.0.2',
  })
})
