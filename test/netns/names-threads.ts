/** The threads of a name service: those that die get successors, who know what they knew and have the same sockets. */

import { openSync, readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { NameService } from '../../src/dns/dns.ts'
import { libc } from '../../src/ffi/ffi.ts'
import type { Cidr, Ip } from '../../src/model/address/address.ts'
import { askTcp, askUdp } from '../support/dns.ts'
import { dataOf } from '../support/names.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const F_DUPFD = 0

/** The epoll(7) of this process that watches a descriptor. */
function watcherOf(descriptor: number): number {
  const watches = (fd: string): boolean => {
    try {
      return new RegExp(`^tfd:\\s+${descriptor} `, 'm').test(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))
    } catch {
      // The folder's own, which is closed by then.
      return false
    }
  }
  return Number(readdirSync('/proc/self/fd').find(watches) ?? -1)
}

t.test('a thread that dies is replaced, and names are told as before', async t => {
  const scene = await Scene.open('nftables')
  t.teardown(() => scene.close())
  const { host } = scene
  const server = '10.10.0.1'
  await host.run('ip', 'link', 'add', 'br-front', 'type', 'bridge')
  await host.run('ip', 'address', 'add', `${server}/16`, 'dev', 'br-front')
  await host.run('ip', 'link', 'set', 'br-front', 'up')
  const faults: string[] = []
  const service = new NameService(fault => faults.push(fault))
  t.teardown(() => service.end())
  host.inside(() => service.open({ address: server as Ip, network: 'front', device: 'br-front' }))
  const known = {
    network: 'front',
    container: 'web',
    names: ['web'],
    addresses: ['10.10.0.2' as Ip],
    subnets: ['10.10.0.0/16' as Cidr],
    domain: 'tsnet.internal',
  }
  const other = { ...known, container: 'other', names: ['other'], addresses: ['10.10.0.3' as Ip] }
  await service.tell([
    ['web', known],
    ['other', other],
  ])
  const asks = () =>
    waitFor(
      async () => {
        const said = await askUdp(host, { server, name: 'web.tsnet.internal', withinMs: 500 })
        return typeof said === 'string' ? undefined : said
      },
      { what: 'an answer' },
    )
  t.strictSame(dataOf(await asks()), ['10.10.0.2'])
  const before = readdirSync('/proc/self/fd').length

  const [door] = Object.values(service.doors).flat()
  const loop = watcherOf(door?.descriptor ?? -1)
  t.ok(loop >= 0, 'a loop watches the socket')
  // Where it sleeps is no epoll any more.
  const nothing = openSync('/dev/null', 'r')
  libc.close(loop)
  t.equal(libc.fcntl(nothing, F_DUPFD, loop), loop)
  libc.close(nothing)
  await waitFor(
    async () => {
      await askUdp(host, { server, name: 'web.tsnet.internal', withinMs: 500 })
      return faults.length > 0
    },
    { what: 'it to die' },
  )
  t.match(faults, [/a thread that tells names died and is replaced: .*EINVAL/])
  t.strictSame(dataOf(await asks()), ['10.10.0.2'], 'by UDP')
  t.strictSame(dataOf(await askTcp(host, { server, name: 'web.tsnet.internal' })), ['10.10.0.2'], 'by TCP')
  await waitFor(() => readdirSync('/proc/self/fd').length <= before, { what: 'no descriptor to be left' })

  await service.tell([['web', undefined]])
  t.equal(dataOf(await asks()), 'NXDOMAIN', 'what was ready is not told any more')
  await service.end()
  t.equal(watcherOf(door?.descriptor ?? -1), -1)
})
