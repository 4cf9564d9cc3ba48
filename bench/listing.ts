/**
 * What it takes to list a host with many attachments, from exec to exit: `ps`, and `ports` with as many publications.
 *
 * The records are as attachments leave them, in a run directory of the bench's own; no daemon runs, so all of it is read
 * from files. Containers share one namespace here, so what `ports` looks up in each of them is counted once.
 */

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Cidr } from '../src/model/address/address.ts'
import { type Attachment, ownerTag } from '../src/model/network.ts'
import { sha256 } from '../src/model/sha256.ts'
import { currentBootId } from '../src/netns/alive.ts'
import { writeEntry } from '../src/records/records.ts'
import type { Line, Report } from './report.ts'
import { summarize } from './statistics.ts'

const SIZES = [10, 5_000]
const LIMIT_MS = 300
const COMMANDS = [
  ['ps'],
  ['ps', '--json'],
  ['ps', '-q', '--filter', 'port=30007'],
  ['inspect', 'web-7'],
  ['inspect', '20007'],
  ['--version'],
]

export async function benchListing(rounds: number): Promise<Report> {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-bench-listing-'))
  try {
    const places = SIZES.map(size => ({ size, directory: fill(join(folder, String(size)), size) }))
    const lines = COMMANDS.flatMap(words => places.map(place => ({ ...place, words, times: [] as number[] })))
    for (let round = -1; round < rounds; round++)
      for (const line of lines) {
        const ms = turn(line.directory, line.words)
        if (round >= 0) line.times.push(ms)
      }
    return {
      title: 'A host listed, by the number of attachments',
      unit: 'ms',
      versions: { node: process.version },
      lines: lines.map(
        ({ size, words, times }): Line => ({
          work: `tsnet ${words.join(' ')}, ${size}`,
          by: 'tsnet',
          summary: summarize(times),
          ...(size === SIZES.at(-1) && { limit: LIMIT_MS }),
        }),
      ),
      notes: ['Each is a process of its own, without a daemon. Containers share one namespace.'],
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const EXECUTABLE = resolve('dist/bin/tsnet')

function turn(directory: string, words: readonly string[]): number {
  const began = performance.now()
  const { status, stderr } = spawnSync(EXECUTABLE, words, {
    env: { ...process.env, TSNET_RUN_DIR: directory, TSNET_DAEMON: 'off' },
    maxBuffer: 64 * 1024 * 1024,
  })
  const took = performance.now() - began
  if (status !== 0) throw new Error(`tsnet ${words.join(' ')}: ${stderr}`)
  return took
}

/** Records of so many, each with two addresses and a port. @returns the run directory */
function fill(directory: string, size: number): string {
  mkdirSync(directory, { mode: 0o700 })
  process.env.TSNET_RUN_DIR = directory
  const path = '/proc/self/ns/net'
  const { dev, ino } = statSync(path)
  for (let index = 0; index < size; index++) {
    const attachment = recordOf(index, { path: `/proc/${process.pid}/ns/net`, dev, ino })
    writeEntry(ownerTag(attachment), { state: 'attached', attachment })
  }
  return directory
}

function recordOf(index: number, netns: Attachment['netns']): Attachment {
  const end = `${index >> 8}.${index & 255}`
  const mac = '02:00:00:00:00:01'
  const containerId = sha256(String(index))
  const ports = [{ protocol: 'tcp', hostPort: 20_000 + index, containerPort: 80, count: 1 } as const]
  const addresses = [`10.9.${end}/16`, `fd09::${index.toString(16)}/64`] as Cidr[]
  const key = { network: 'bench', containerId, ifname: 'eth0' }
  return {
    ...key,
    netns,
    bootId: currentBootId(),
    createdAt: new Date().toISOString(),
    bridgeName: 'bench0',
    ipam: { kind: 'none' },
    leases: addresses.map(address => ({ address })),
    nat: {
      backend: 'nftables',
      intent: { owner: ownerTag(key), bridge: 'bench0', addresses, ipMasq: true, guardDirect: true, ports },
    },
    ports,
    macspoofchk: true,
    aliases: [`web-${index}`],
    bridge: { name: 'bench0', mac, mtu: 1500 },
    hostInterface: { name: `veth${index}`, mac, mtu: 1500 },
    containerInterface: { name: 'eth0', mac, mtu: 1500 },
    routes: [],
  }
}
