/**
 * A full disk at every system call that can meet one, while an address is taken and while it is released.
 */

import t from 'tap'
import { giveBack, obtain } from '../../src/ipam/ipam.ts'
import { callsOf, disturb, SUBNET, WHOLE, web } from '../support/lease-strace.ts'
import { hostLocal, leaseFiles, owner, recordFiles } from '../support/leases.ts'

t.setTimeout(600_000)

const meetsFullDisk = ['openat', 'mkdir', 'write', 'link', 'rename', 'unlink']

t.test('a take that meets a full disk says so and leaves nothing', async t => {
  const folder = t.testdir()
  const calls = (await callsOf(folder, 'take')).filter(({ call }) => meetsFullDisk.includes(call))
  for (const call of calls) {
    const { dataDir, ended } = await disturb(folder, 'take', call, 'error=ENOSPC')
    const where = `${call.call} ${call.nth}`
    t.not(ended.code, 0, where)
    t.match(ended.stderr, /ipam: cannot work with the addresses in .*ENOSPC/, where)
    t.same(leaseFiles(dataDir), {}, where)
    t.same(recordFiles(dataDir), [], where)
    await obtain(hostLocal(dataDir, [SUBNET]), owner('next'), [])
  }
})

t.test('a release that meets an error says so, and works when it is tried again', async t => {
  const folder = t.testdir()
  const calls = (await callsOf(folder, 'release')).filter(({ call }) => meetsFullDisk.includes(call))
  for (const call of calls) {
    const { dataDir, ended } = await disturb(folder, 'release', call, 'error=EIO')
    const where = `${call.call} ${call.nth}`
    t.not(ended.code, 0, where)
    t.match(ended.stderr, /ipam: cannot work with the addresses in .*EIO/, where)
    const files = leaseFiles(dataDir)
    t.ok(Object.keys(files).length === 0 || JSON.stringify(files) === JSON.stringify(WHOLE), where)
    await giveBack(hostLocal(dataDir, [SUBNET]), web, undefined)
    t.same(leaseFiles(dataDir), {}, where)
    t.same(recordFiles(dataDir), [], where)
  }
})
