import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { listOrigins, readBackup, removeBackup, writeBackup } from '../../src/tuning/tuning.ts'

const netns = { path: '/run/netns/web', dev: 4, ino: 4026532000 }
const origin = { network: 'front', containerId: 'web', ifname: 'eth0', netns }
const folder = () => join(mkdtempSync(join(tmpdir(), 'tsnet-tuning-')), 'data')

t.test('a file has the name and the keys of the reference, and says whose it is', async t => {
  const data = folder()
  const settings = {
    mac: '02:00:00:00:00:01',
    promiscuous: false,
    mtu: 1500,
    allmulti: true,
    txQueueLength: 0,
  }
  writeBackup(data, settings, origin)
  const path = join(data, 'web_eth0.json')
  t.strictSame(JSON.parse(readFileSync(path, 'utf8')), {
    mac: '02:00:00:00:00:01',
    promisc: false,
    mtu: 1500,
    allmulti: true,
    txQLen: 0,
    tsnet: origin,
  })
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.strictSame(readBackup(data, origin), { settings, origin })
  t.strictSame(listOrigins(data), [origin])
  removeBackup(data, origin)
  t.notOk(existsSync(data), 'the folder goes with the last file')
  removeBackup(data, origin)
  t.equal(readBackup(data, origin), undefined)
  t.strictSame(listOrigins(data), [])
})

t.test('a file that the reference wrote is read', async t => {
  const data = folder()
  writeBackup(data, {}, origin)
  writeFileSync(
    join(data, 'db_eth0.json'),
    '{\n "mac": "0e:79:87:33:df:b1",\n "promisc": false,\n "mtu": 1500\n}',
  )
  t.strictSame(readBackup(data, { containerId: 'db', ifname: 'eth0' }), {
    settings: { mac: '0e:79:87:33:df:b1', promiscuous: false, mtu: 1500 },
  })
  t.strictSame(listOrigins(data), [origin])
})

t.test("a damaged file says nothing and is in nobody's way", async t => {
  const data = folder()
  writeBackup(data, {}, origin)
  for (const text of ['', '{', '[]', '{"mtu":"many"}', '{"mac":"../../x"}']) {
    writeFileSync(join(data, 'web_eth0.json'), text)
    t.strictSame(readBackup(data, origin)?.settings, {}, text)
  }
  writeFileSync(
    join(data, 'x_eth0.json'),
    JSON.stringify({ tsnet: { ...origin, containerId: '../../etc/web' } }),
  )
  t.strictSame(listOrigins(data), [], 'a file names itself, or it is not ours')
})
