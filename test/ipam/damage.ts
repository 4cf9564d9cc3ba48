/** Every kind of damage in every file of a network: nobody else is affected, and no address has two holders. */

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { collectLeases, giveBack, obtain } from '../../src/ipam/ipam.ts'
import { ownerTag } from '../../src/model/network.ts'
import { currentBootId } from '../../src/netns/alive.ts'
import { damage, damages, NEWER } from '../support/damage.ts'
import { addressesOf, type HostLocal, hostLocal, NETWORK, owner } from '../support/leases.ts'

const bootId = currentBootId()
const who = (id: string) => owner(id, { bootId })
const recordOf = (id: string): string => join('.tsnet', NETWORK, ownerTag(who(id)))

/** Two containers on a network of five addresses, whose files are there to be damaged. */
async function twoLeases(dataDir: string) {
  const options = hostLocal(dataDir, ['10.1.0.0/29'])
  const take = async (id: string) => addressesOf((await obtain(options, who(id), [])).leases)[0]
  return { options, take, web: await take('web'), api: await take('api') }
}

const addressesIn = (options: HostLocal): string[] =>
  readdirSync(join(options.dataDir, NETWORK)).filter(name => /^[\d.]+$/.test(name))

const complaints: string[] = []
const write = process.stderr.write
process.stderr.write = (text: string | Uint8Array) => complaints.push(String(text)) > 0
t.teardown(() => {
  process.stderr.write = write
})

const FILES = {
  'the lease': `${NETWORK}/10.1.0.2`,
  'the record': recordOf('web'),
  'the record that was being written': `${recordOf('web')}.new`,
  'the lease that was being written': `${recordOf('web')}.lease`,
  'the mark of the round robin': `${NETWORK}/last_reserved_ip.0`,
}

const PRINTABLE = new Set(
  'an empty object,an empty text,null,a list of numbers,a wrong format,garbage'.split(','),
)

for (const [what, file] of Object.entries(FILES)) {
  t.test(`${what} is damaged: DEL leaves nothing, and others have and get their own`, async t => {
    for (const kind of Object.keys(damages)) {
      const { options, take, web, api } = await twoLeases(join(t.testdir(), 'networks'))
      const path = join(options.dataDir, file)
      damage(path, kind, what === 'the mark of the round robin' ? '10.1.0.3' : readIfThere(path))
      const others = [await take('one'), await take('two'), await take('three')]
      const living = [api, ...others].sort()
      t.equal(new Set([web, ...living]).size, 5, `${kind}: no address twice`)
      await giveBack(options, who('web'), undefined)
      if (what !== 'the lease') t.same(addressesIn(options).sort(), living, kind)
      // What could be somebody's word for himself keeps the address until a list says who lives.
      const isKept = what === 'the lease' && PRINTABLE.has(kind)
      if (isKept) await t.rejects(take('next'), { code: 'exhausted' })
      else t.equal(await take('next'), web, `${kind}: the address is there again`)
      await collectLeases(options, NETWORK, [])
      t.same(addressesIn(options), [])
      rmSync(options.dataDir, { recursive: true })
    }
  })
}

t.test('a lease whose record was damaged in this boot is kept, as its owner may well live', async t => {
  for (const kind of Object.keys(damages)) {
    const { options, take, web } = await twoLeases(join(t.testdir(), 'networks'))
    damage(join(options.dataDir, recordOf('web')), kind, readIfThere(join(options.dataDir, recordOf('web'))))
    for (const id of ['one', 'two', 'three']) await take(id)
    await t.rejects(take('four'), { code: 'exhausted' }, kind)
    await collectLeases(options, NETWORK, undefined)
    t.ok(addressesIn(options).includes(web ?? ''), kind)
    await collectLeases(options, NETWORK, [{ containerId: 'api', ifname: 'eth0' }])
    t.notOk(addressesIn(options).includes(web ?? ''), 'a list says who lives')
    rmSync(options.dataDir, { recursive: true })
  }
})

t.test('a record of a newer format is refused by its number, and takes no other with it', async t => {
  const { options, take } = await twoLeases(join(t.testdir(), 'networks'))
  writeFileSync(join(options.dataDir, recordOf('web')), NEWER)
  const refused = { code: 'io', message: /written by a newer tsnet, in format 2/ }
  await t.rejects(giveBack(options, who('web'), undefined), refused)
  await t.rejects(take('web'), refused)
  await giveBack(options, who('api'), undefined)
  await take('one')
  await collectLeases(options, NETWORK, undefined)
  t.ok(addressesIn(options).includes('10.1.0.2'))
})

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
