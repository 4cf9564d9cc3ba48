/**
 * The path of a namespace is a link that somebody turns from one namespace to another all the time. Whatever a call
 * does, it does in the one that it opened. The control: whoever opens the path twice is soon in two.
 */

import { renameSync, symlinkSync } from 'node:fs'
import t from 'tap'
import { type Place, waitFor } from 'tsnet/lab'
import { extent } from '../support/extent.ts'
import { BACKENDS, Scene } from '../support/scene.ts'

const ADDS = extent(6, 500)
const PATH = '/run/netns/turning'

t.setTimeout(extent(600_000, 1_800_000))

const addressesIn = async (place: Place): Promise<string[]> => {
  const { stdout } = await place.run('ip', '-o', 'addr', 'show', 'dev', 'eth0', { mayFail: true })
  return [...stdout.matchAll(/inet (\S+)/g)].map(([, address = '']) => address)
}

for (const backend of BACKENDS) {
  t.test(`${backend}: the interface is in the namespace that was opened, and there alone`, async t => {
    const scene = await Scene.open(backend, 'a', 'b')
    t.teardown(() => scene.close())
    const path = scene.host.path(PATH)
    let turns = 0
    const turn = () => {
      symlinkSync(`/run/netns/${turns++ % 2 === 0 ? 'a' : 'b'}`, `${path}.new`)
      renameSync(`${path}.new`, path)
    }
    turn()
    await scene.remember()
    const turning = setInterval(turn, 1)
    t.teardown(() => clearInterval(turning))

    // Through the host's own root, where the link leads to the host's files.
    const inode = async () => (await scene.host.run('stat', '-L', '-c', '%i', PATH)).stdout
    const seen = new Set<string>()
    await waitFor(
      async () => {
        seen.add(await inode())
        return seen.size === 2
      },
      { what: 'two openings to see two namespaces' },
    )

    const front = scene.network('front', 10)
    const [a, b] = [scene.get('a'), scene.get('b')]
    const ports = [{ hostPort: 8080, containerPort: 80 }]
    const count = { a: 0, b: 0 }
    for (let i = 0; i < ADDS; i++) {
      const before = turns
      const result = await front.add('turning', { netns: PATH, ports })
      t.ok(turns > before, `turned ${turns - before} times during ADD`)
      const found = { a: await addressesIn(a), b: await addressesIn(b) }
      const address = result.ips?.find(ip => !ip.address.includes(':'))?.address ?? ''
      const where = found.a.length > 0 ? 'a' : 'b'
      count[where]++
      t.strictSame(found, { a: [], b: [], [where]: [address] })
      await front.delete('turning', { netns: PATH, ports })
      t.strictSame({ a: await addressesIn(a), b: await addressesIn(b) }, { a: [], b: [] })
    }
    clearInterval(turning)
    t.strictSame(await scene.residue(line => !line.includes(PATH)), [])
    t.comment(
      `figure: ADDs while the path turns, ${backend}: ${ADDS} during ${turns} turns, ${count.a} and ${count.b} in either, none in both`,
    )
  })
}
