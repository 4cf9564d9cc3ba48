/**
 * One daemon among many hosts, which are records in etcd and no more: how long it takes until it leads to all of them, and
 * what it costs it to follow them as they change.
 */

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Change, Etcd } from '../../src/hosts/etcd/etcd.ts'
import { claimText, keysOf, type Layout, layoutText, wordText } from '../../src/hosts/keys.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import { processorOf } from '../names/asker.ts'
import { type BenchHost, networkOf, routesOn, SUBNETS, startOn, until } from './site.ts'

/** Under which a crowd of that size stands. */
export const crowdKeys = (size: number): string => `/crowd-${size}`
const keysFor = (size: number) => keysOf(crowdKeys(size), networkOf('vxlan'))
/** Operations that etcd takes in one transaction. */
const TOGETHER = 100
const CHANGES_A_SECOND = 100
/** Turns of a change: an address that is the host's now, and one that was. */
const PLACES = 200

export interface CrowdFigures {
  /** From exec to a route to each host. */
  completeMs: number
  /** Of a core, in hundredths. */
  idle: number
  followed: number
  /** The most of RSS while hosts changed, in MB. */
  memoryMb: number
}

const idOf = (n: number): string => (0x1000 + n).toString(16).padStart(16, '0')
const macOf = (n: number): string => `06:00:00:00:${hex(n >> 8)}:${hex(n & 255)}`
const hex = (n: number): string => n.toString(16).padStart(2, '0')

/** @param turn where it is now */
const wordOf = (n: number, turn = 0): string =>
  wordText({
    name: `host-${n}`,
    addresses: [parseIp(`172.${16 + (turn % PLACES)}.${n >> 8}.${n & 255}`)],
    mac: macOf(n),
    number: n,
    instance: '1c7a3b52-7e8b-4d4f-9d5e-0f2b8f6a1c33/4026531840',
  })

/** Writes hosts that nobody is. */
export async function writeHosts(store: Etcd, count: number): Promise<void> {
  const keys = keysFor(count)
  const layout: Layout = {
    pools: [{ subnet: parseCidr(SUBNETS.vxlan), hostPrefix: 24 }],
    carrier: 'vxlan',
    port: 4789,
  }
  const changes: Change[] = Array.from({ length: count }, (_, n): Change[] => [
    { kind: 'put', key: keys.claim(n), value: claimText(idOf(n)) },
    { kind: 'put', key: keys.host(idOf(n)), value: wordOf(n) },
  ]).flat()
  await store.transact([], [{ kind: 'put', key: keys.layout, value: layoutText(layout) }])
  for (let from = 0; from < changes.length; from += TOGETHER)
    await store.transact([], changes.slice(from, from + TOGETHER))
}

/** @param host whose daemon does not run yet */
export async function measureCrowd(
  host: BenchHost,
  store: Etcd,
  count: number,
  seconds: number,
): Promise<CrowdFigures> {
  const began = performance.now()
  await startOn(host)
  await until(() => routesOn(host) >= count, `${count} hosts are known`)
  const completeMs = performance.now() - began
  const pid = host.daemon?.pid ?? 0
  const keys = keysFor(count)
  await sleep(2_000)
  const idle = await shareOf(pid, () => sleep(seconds * 1_000))
  let memoryMb = 0
  const followed = await shareOf(pid, async () => {
    const start = performance.now()
    for (let done = 0; done < seconds * CHANGES_A_SECOND; done++) {
      const n = (done * 7) % count
      await store.transact(
        [],
        [{ kind: 'put', key: keys.host(idOf(n)), value: wordOf(n, 1 + Math.floor((done * 7) / count)) }],
      )
      if (done % 10 === 0) memoryMb = Math.max(memoryMb, rssOf(pid))
      const ahead = start + (done * 1_000) / CHANGES_A_SECOND - performance.now()
      if (ahead > 0) await sleep(ahead)
    }
  })
  await host.daemon?.stop()
  return { completeMs, idle, followed, memoryMb }
}

async function shareOf(pid: number, work: () => Promise<unknown>): Promise<number> {
  const [before, began] = [processorOf(pid), performance.now()]
  await work()
  return (100 * (processorOf(pid) - before)) / 1_000 / (performance.now() - began)
}

const rssOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024
