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
/** In those of sockets: what answers with many parts is asked for more; one for each of the others would be 140. */
const MORE = 40
const TURNS = 3
/** Of a look at everything: the file of one, its interface and settings; what is shared is looked at once. */
const LOOKS = 9

t.setTimeout(600_000) // on a busy machine

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
  const least = new Map<Command, readonly [empty: number, full: number]>()
  const isFlat = ([empty, full]: readonly [number, number]) => full <= empty * FLAT
  // Threads that wait for each other call the kernel more often on a busy machine.
  for (let turn = 0; turn < TURNS && (turn === 0 || ![...least.values()].every(isFlat)); turn++) {
    for (const command of ['ADD', 'CHECK', 'DEL', 'STATUS'] as const) {
      const [empty, full] = await callsOf(command, 'all')
      const [before, after] = least.get(command) ?? [empty, full]
      least.set(command, [Math.min(before, empty), Math.min(after, full)])
    }
  }
  for (const [command, [empty, full]] of least)
    t.ok(isFlat([empty, full]), `${command}: ${empty} calls on the empty host, ${full} on the full one`)
  for (const command of ['ADD', 'CHECK', 'DEL'] as const) {
    const [empty, full] = await callsOf(command, 'network')
    t.ok(full <= empty + MORE, `${command}: ${empty} and ${full} calls of sockets`)
  }
  const [empty, full] = await callsOf('GC', 'all')
  const each = (full - empty) / FULL.leases
  t.ok(each < 12, `GC: ${each.toFixed(1)} calls for each lease`)
  const [few, many] = await Promise.all(
    hosts.map(host =>
      host.ask({ do: 'command', words: ['reconcile', '--dry-run'], daemon: false, count: 'all' }),
    ),
  )
  const looks =
    ((many?.calls ?? Number.NaN) - (few?.calls ?? Number.NaN)) / (FULL.attachments + FULL.ports / 2)
  t.ok(looks < LOOKS, `reconcile: ${looks.toFixed(1)} calls for each attachment and publication`)
}

t.test('a daemon with many ports rests while nothing happens', async t => {
  const resting = await Promise.all(
    hosts.map(async host => {
      await host.ask({ do: 'start-daemon' })
      await host.ask({ do: 'idle' }) // It looks at everything once.
      const { ms } = await host.ask({ do: 'idle' })
      await host.ask({ do: 'stop-daemon' })
      return ms
    }),
  )
  const [few = Number.NaN, many = Number.NaN] = resting
  t.comment(`${few}, ${many} ms`)
  // It looks every second; reading 1150 records each time would be some 40 on a quick machine.
  t.ok(many < 2 * few + 5, `${many} ms of a processor each second, ${few} on the empty host`)
})
