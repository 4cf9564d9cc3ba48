/**
 * What CRI-O of 2026 asks beside its containers: GC of each network at its start, with all whom it knows, and STATUS every
 * five seconds. On a host with many attachments, with the daemon; what it takes is said by `npm run bench -- scale`.
 */

import t from 'tap'
import { BenchHost } from '../../bench/scale/hosts.ts'

t.setTimeout(600_000) // on a busy machine

const SIZE = { ports: 0, leases: 0, attachments: 500, networks: 10 }
/** The one that is asked about, and one of those on it. */
const [NETWORK, POD] = ['net9', 'pod7']

t.test('GC takes off whom CRI-O does not know, on that network alone, and STATUS nobody', async t => {
  const host = new BenchHost(SIZE)
  t.teardown(() => host.end())
  await host.ask({ do: 'fill', size: SIZE, backend: 'nftables' })
  await host.ask({ do: 'start-daemon' })
  const attached = async (): Promise<string[]> => {
    const { stdout = '' } = await host.ask({ do: 'command', words: ['ps', '--json'], daemon: true })
    const all: { containerId: string; network: string }[] = JSON.parse(stdout)
    return all.map(({ containerId, network }) => `${containerId} ${network}`).sort()
  }
  const before = await attached()
  t.equal(before.length, SIZE.attachments)
  await host.ask({ do: 'cri-o', command: 'STATUS' })
  await host.ask({ do: 'cri-o', command: 'GC' })
  t.same(await attached(), before, 'all are known')
  await host.ask({ do: 'cri-o', command: 'GC', without: POD })
  t.same(
    await attached(),
    before.filter(each => each !== `${POD} ${NETWORK}`),
  )
  await host.ask({ do: 'stop-daemon' })
})
