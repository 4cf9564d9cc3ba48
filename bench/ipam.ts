/**
 * Taking and releasing an address while 10, 1 000, 10 000 and 50 000 others are leased: what each costs,
 * and how it grows. The figures at 10 leases are what the others are held against.
 *
 *     node dist/lib/bench/ipam.js [--json] [--rounds N]
 *
 * The turns of all sizes alternate. host-local, where it is installed, works on a copy of its own with the
 * same number of leases; it is started for each call, as runtimes do, and reads every lease.
 */

import { execFileSync } from 'node:child_process'
import { accessSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { giveBack, type LeaseOwner, obtain } from '../src/ipam/ipam.ts'
import type { Cidr } from '../src/model/address/address.ts'
import type { IpamOptions } from '../src/model/network.ts'
import { formatReport, type Line, type Report, withinBudget } from './report.ts'
import { summarize } from './statistics.ts'

const SIZES = [10, 1_000, 10_000, 50_000]
/** Of the median at any size to that at the smallest. */
const BUDGET = 1.2
const HOST_LOCAL = '/usr/lib/cni/host-local'
/** A call of host-local on 50 000 leases takes the better part of a second. */
const HOST_LOCAL_ROUNDS = 3
const SUBNET = '10.0.0.0/14' as Cidr

interface Pool {
  size: number
  dataDir: string
  take: number[]
  release: number[]
}

export async function benchIpam(rounds: number): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-bench-ipam-'))
  try {
    const pools = await fillPools(folder)
    for (let round = -5; round < rounds; round++) {
      for (const pool of pools) await turn(pool, `probe${round + 5}`, round >= 0)
    }
    const lines = linesOf('tsnet', pools, BUDGET)
    if (isInstalled(HOST_LOCAL)) lines.push(...benchHostLocal(folder, pools))
    return {
      title: 'One address taken and released, by the number of leases',
      unit: 'µs',
      versions: { node: process.version },
      lines,
      notes: [
        'host-local includes the start of its process, ours does not; its ratios are to its own figures.',
      ],
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function fillPools(folder: string): Promise<Pool[]> {
  const pools: Pool[] = []
  for (const size of SIZES) {
    const pool: Pool = { size, dataDir: join(folder, `ours-${size}`), take: [], release: [] }
    for (let i = 0; i < size; i++) await obtain(optionsOf(pool), owner(`container${i}`), [])
    pools.push(pool)
  }
  return pools
}

async function turn(pool: Pool, name: string, counts: boolean): Promise<void> {
  const options = optionsOf(pool)
  const began = performance.now()
  await obtain(options, owner(name), [])
  const taken = performance.now()
  await giveBack(options, owner(name), undefined)
  const released = performance.now()
  if (!counts) return
  pool.take.push((taken - began) * 1000)
  pool.release.push((released - taken) * 1000)
}

const optionsOf = ({ dataDir }: Pool): IpamOptions => ({
  kind: 'host-local',
  dataDir,
  routes: [],
  ranges: [[{ subnet: SUBNET }]],
})

const owner = (containerId: string): LeaseOwner => ({
  network: 'bench',
  containerId,
  ifname: 'eth0',
  bootId: 'this',
  netns: { path: `/run/netns/${containerId}`, dev: 4, ino: 4_026_532_000 },
})

function benchHostLocal(folder: string, ours: Pool[]): Line[] {
  const pools = ours.map(({ size, dataDir }) => {
    const copy = join(folder, `theirs-${size}`)
    cpSync(join(dataDir, 'bench'), join(copy, 'bench'), { recursive: true })
    return { size, dataDir: copy, take: [], release: [] } satisfies Pool as Pool
  })
  for (let round = -1; round < HOST_LOCAL_ROUNDS; round++) {
    for (const pool of pools) {
      const take = timed(() => callHostLocal('ADD', pool.dataDir))
      const release = timed(() => callHostLocal('DEL', pool.dataDir))
      if (round < 0) continue
      pool.take.push(take)
      pool.release.push(release)
    }
  }
  return linesOf('host-local', pools)
}

function callHostLocal(command: 'ADD' | 'DEL', dataDir: string): void {
  const ipam = { type: 'host-local', dataDir, ranges: [[{ subnet: SUBNET }]] }
  execFileSync(HOST_LOCAL, {
    input: JSON.stringify({ cniVersion: '1.0.0', name: 'bench', type: 'bridge', ipam }),
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'probe',
      CNI_IFNAME: 'eth0',
      CNI_NETNS: '/run/netns/x',
      CNI_PATH: '/',
    },
  })
}

function timed(work: () => void): number {
  const began = performance.now()
  work()
  return (performance.now() - began) * 1000
}

function linesOf(by: string, pools: Pool[], budget?: number): Line[] {
  return (['take', 'release'] as const).flatMap(work => {
    const smallest = summarize(pools[0]?.[work] ?? [])
    return pools.map((pool): Line => {
      const summary = summarize(pool[work])
      const line = { work: `${work}, ${pool.size} leases`, by, summary }
      if (pool === pools[0]) return line
      const ratio = summary.median / smallest.median
      return budget === undefined ? { ...line, ratio } : { ...line, ratio, budget }
    })
  })
}

function isInstalled(path: string): boolean {
  try {
    accessSync(path)
    return true
  } catch {
    return false
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { json: { type: 'boolean', default: false }, rounds: { type: 'string', default: '400' } },
  })
  const report = await benchIpam(Number(values.rounds))
  console.log(values.json ? JSON.stringify(report, null, 2) : formatReport(report))
  process.exitCode = withinBudget(report) ? 0 : 1
}
