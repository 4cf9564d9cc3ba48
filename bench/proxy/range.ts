/** Ten thousand ports at once, and a hundred by Docker's proxies: two processes each, one after the other. */

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { PUBLICATION_MS } from '../cni/budgets.ts'
import type { Line } from '../report.ts'
import { summarize } from '../statistics.ts'
import { isInstalled } from '../versions.ts'
import { dockerProxies, lineOf, memoryOf, OURS, pidsOf, startOurs } from './scene.ts'

const PORTS = 10_000
const PEER_PORTS = 100
const TIMES = 3
const MEGABYTES = 60

interface Cost {
  ms: number
  megabytes: number
}

export async function rangeLines(): Promise<Line[]> {
  const ours: Cost[] = []
  const peers: Cost[] = []
  for (let turn = 0; turn < TIMES; turn++) {
    ours.push(await publishRange(`/run/tsnet-range-${turn}`))
    if (isInstalled('docker-proxy')) peers.push(await startProxies())
  }
  const lines = (by: string, count: number, costs: Cost[], limits?: Cost): Line[] => [
    {
      work: 'publish ports',
      by: `${by}, ${count} ports`,
      unit: 'ms',
      summary: summarize(costs.map(({ ms }) => ms)),
      ...(limits && { limit: limits.ms }),
    },
    {
      work: 'memory of published ports',
      by: `${by}, ${count} ports`,
      unit: 'MB',
      summary: summarize(costs.map(({ megabytes }) => megabytes)),
      ...(limits && { limit: limits.megabytes }),
    },
  ]
  return [
    ...(peers.length > 0 ? lines('docker-proxy', PEER_PORTS, peers) : []),
    ...lines('tsnet', PORTS, ours, { ms: PUBLICATION_MS, megabytes: MEGABYTES }),
  ]
}

/** The whole command, of a daemon that has nothing else to do. */
async function publishRange(runDirectory: string): Promise<Cost> {
  const env = { TSNET_RUN_DIR: runDirectory }
  const daemon = startOurs(env)
  await lineOf(daemon)
  const tsnet = (...words: string[]) =>
    execFileSync(OURS, words, { env: { ...process.env, ...env }, stdio: 'pipe' })
  const idle = memoryOf(pidsOf([daemon]))
  const began = performance.now()
  tsnet('publish', `20000-${20_000 + PORTS - 1}:20000-${20_000 + PORTS - 1}`, 'netns:web')
  const ms = performance.now() - began
  const megabytes = memoryOf(pidsOf([daemon])) - idle
  tsnet('unpublish', '--all')
  daemon.kill()
  await once(daemon, 'exit')
  return { ms, megabytes }
}

async function startProxies(): Promise<Cost> {
  const proxies = []
  const began = performance.now()
  for (let port = 20_000; port < 20_000 + PEER_PORTS; port++) {
    for (const proxy of dockerProxies('tcp', port, port)) {
      const report = proxy.stdio[3]
      if (report) await once(report, 'data')
      proxies.push(proxy)
    }
  }
  const ms = performance.now() - began
  const megabytes = memoryOf(pidsOf(proxies))
  for (const proxy of proxies) proxy.kill('SIGKILL')
  await Promise.all(proxies.map(proxy => proxy.exitCode ?? proxy.signalCode ?? once(proxy, 'exit')))
  return { ms, megabytes }
}
