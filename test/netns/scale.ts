/**
 * What one container costs does not depend on how many others there are. System calls are counted, which
 * are the same on a busy machine; times are the benchmark's business (npm run bench -- scale).
 */

import t, { type Test } from 'tap'
import { BenchHost } from '../../bench/scale/hosts.ts'
import type { NatBackend } from '../../src/model/network.ts'

const EMPTY = { ports: 10, leases: 10, attachments: 10, networks: 1 }
const FULL = { ports: 2_000, leases: 3_000, attachments: 150, networks: 10 }

/** In all system calls: threads differ a little. */
const FLAT = 1.1
/** In those of sockets: what answers with many parts is asked for more. */
const MORE = 3

t.setTimeout(300_000) // on a busy machine

type Command = 'ADD' | 'CHECK' | 'DEL' | 'STATUS' | 'GC'

const hosts = [new BenchHost(EMPTY), new BenchHost(FULL)] as const
t.teardown(() => Promise.all(hosts.map(host => host.end())))

t.test('a container costs the same on a full host as on an empty one', async t => {
  await costsTheSame(t, hosts, 'nftables')
})

t.test('and with iptables', async t => {
  const hosts = [new BenchHost(EMPTY), new BenchHost(FULL)] as const
  t.teardown(() => Promise.all(hosts.map(host => host.end())))
  await costsTheSame(t, hosts, 'iptables')
})

async function costsTheSame(t: Test, hosts: readonly BenchHost[], backend: NatBackend): Promise<void> {
  for (const host of hosts) await host.ask({ do: 'fill', size: host.size, backend })

  const callsOf = async (command: Command, count: 'all' | 'network') => {
    const [empty, full] = await Promise.all(
      hosts.map(host => host.ask({ do: 'call', command, daemon: false, count })),
    )
    return [empty?.calls ?? Number.NaN, full?.calls ?? Number.NaN] as const
  }
  // The first call of a host finds things that nobody has looked at yet.
  for (const command of ['ADD', 'DEL'] as const) await callsOf(command, 'all')
  for (const command of ['ADD', 'CHECK', 'DEL', 'STATUS'] as const) {
    const [empty, full] = await callsOf(command, 'all')
    t.ok(full <= empty * FLAT, `${command}: ${empty} calls on the empty host, ${full} on the full one`)
  }
  for (const command of ['ADD', 'CHECK', 'DEL'] as const) {
    const [empty, full] = await callsOf(command, 'network')
    t.ok(full <= empty + MORE, `${command}: ${empty} and ${full} calls of sockets`)
  }
  const [empty, full] = await callsOf('GC', 'all')
  const each = (full - empty) / FULL.leases
  t.ok(each < 12, `GC: ${each.toFixed(1)} calls for each lease`)
}

t.test('a daemon with many ports rests while nothing happens', async t => {
  const [, full] = hosts
  await full.ask({ do: 'start-daemon' })
  await full.ask({ do: 'idle' }) // It looks at everything once.
  const resting = await full.ask({ do: 'idle' })
  await full.ask({ do: 'stop-daemon' })
  // It looks every second; reading 1150 records each time would be some 40.
  t.ok(resting.ms < 10, `${resting.ms} ms of a processor each second`)
})
