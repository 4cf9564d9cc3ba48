/** Sockets that are kept between conversations, on the real kernel. */

import { readdirSync, readlinkSync } from 'node:fs'
import t from 'tap'
import { lab } from 'tsnet/lab'
import { listLinks } from '../../src/netlink/link/link.ts'
import { openNetlink } from '../../src/netlink/netlink.ts'
import { keepSockets } from '../../src/netlink/warm-sockets.ts'
import { inside, openNetns } from '../../src/netns/netns.ts'

/** Of this process. */
const sockets = (): number => {
  const links = readdirSync('/proc/self/fd').map(fd => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // that of the listing itself
    }
  })
  return links.filter(link => link.startsWith('socket:')).length
}

t.test(
  'a conversation that is over leaves its socket to the next one, in a container while that is open',
  async t => {
    const world = await lab()
    t.teardown(() => world.end())
    const host = await world.host('host')
    await host.namespace('web')
    const netns = openNetns(host.path('/run/netns/web'))
    const talk = (times: number) => {
      for (let time = 0; time < times; time++) {
        using nl = openNetlink()
        using other = openNetlink()
        t.ok(listLinks(nl).some(({ name }) => name === 'lo'))
        t.ok(listLinks(other).some(({ name }) => name === 'lo'))
      }
    }
    const before = sockets()
    talk(2)
    t.equal(sockets(), before, 'none is kept until that is asked for')
    keepSockets()
    talk(3)
    t.equal(sockets(), before + 2, 'as many as were used at once')
    for (let time = 0; time < 2; time++) {
      inside(netns, () => {
        using nl = openNetlink()
        t.same(
          listLinks(nl).map(({ name }) => name),
          ['lo'],
          'one of its own',
        )
      })
    }
    t.equal(sockets(), before + 3)
    const late = inside(netns, () => openNetlink())
    netns[Symbol.dispose]()
    late[Symbol.dispose]()
    t.equal(sockets(), before + 2, 'none is left that would keep the namespace alive')
  },
)

t.test('what a conversation left unread is not heard by the next', async t => {
  keepSockets()
  const before = sockets()
  {
    using nl = openNetlink()
    // The kernel does not know it.
    t.throws(() => nl.dump({ equivalent: 'nonsense', type: 0xffff, payload: [] }))
  }
  using nl = openNetlink()
  t.ok(listLinks(nl).some(({ name }) => name === 'lo'))
  t.ok(sockets() <= before + 1)
})
