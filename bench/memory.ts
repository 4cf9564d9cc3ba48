/**
 * What the daemon takes of memory: with nothing to do, with ten thousand ports, for each connection that does nothing.
 *
 * Each reading is of a daemon of its own, once it has come to rest: what a heap has once taken it keeps for a while.
 * Builds take turns. Judged are its own pages (Anonymous of smaps_rollup), which do not depend on who else runs; PSS and
 * RSS are told beside them. Docker's proxy, for connections, is read in the same way.
 */

import { type ChildProcess, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Memory, memoryOf } from '../test/support/memory.ts'
import { type Build, otherBuild, THIS } from './cni/sides.ts'
import { startDaemon } from './daemon.ts'
import {
  descriptorsOf,
  dockerProxies,
  endScene,
  HOST,
  lineOf,
  openPlaces,
  program,
  start,
} from './proxy/scene.ts'
import type { Line, Report } from './report.ts'
import { rotate, summarize } from './statistics.ts'
import { isInstalled, versionsOf } from './versions.ts'

const PUBLISHED = 10_000
const RANGES = 100
/** In the container: where everybody is taken, and nothing is said. */
const SERVED = 5400
const SERVER = `require('node:net').createServer(one => one.resume().on('error', () => {})).listen(${SERVED}, () => console.log('ready'))`
const FIRST = 20_000
const CONNECTIONS = 2_000
/** What this build may take of what the other does. */
const BUDGET = 0.8
/** Timers of a second have passed, and a heap that shrinks has shrunk: V8 waits eight seconds before it does. */
const REST_MS = 15_000

const FIGURES = { anonymousKb: '', pssKb: ', PSS', rssKb: ', RSS' } as const
type Figure = keyof typeof FIGURES
const figures = Object.keys(FIGURES) as Figure[]

/** A state of a daemon: what is done to bring it there. */
interface State {
  name: string
  unit: 'MB' | 'KB'
  /** @returns KB of each figure */
  read(daemon: number, tsnet: Command): Promise<Memory>
}

type Command = (...words: string[]) => void

const range = (first: number, count: number) => {
  const ports = `${first}-${first + count - 1}`
  return `${ports}:${ports}`
}

const STATES: readonly State[] = [
  { name: 'idle', unit: 'MB', read: atRest },
  {
    name: `${PUBLISHED} ports in one publication`,
    unit: 'MB',
    read: (daemon, tsnet) => {
      tsnet('publish', range(FIRST, PUBLISHED), 'netns:web')
      return atRest(daemon)
    },
  },
  {
    name: `${PUBLISHED} ports in ${RANGES} publications`,
    unit: 'MB',
    read: (daemon, tsnet) => {
      const each = PUBLISHED / RANGES
      for (let i = 0; i < RANGES; i++) tsnet('publish', range(FIRST + i * each, each), 'netns:web')
      return atRest(daemon)
    },
  },
  {
    name: 'an idle connection',
    unit: 'KB',
    read: (daemon, tsnet) => {
      tsnet('publish', '--mode', 'proxy', `8100:${SERVED}`, 'netns:web')
      return ofConnections([daemon], 8100)
    },
  },
]

export async function benchMemory(
  rounds: number,
  only: readonly string[] = [''],
  against?: string,
): Promise<Report> {
  const versions = versionsOf('docker-proxy', 'node', 'linux')
  const title = 'Memory of the daemon'
  const builds = [THIS, ...(against === undefined ? [] : [otherBuild(against)])]
  const lines: Line[] = []
  try {
    openPlaces()
    await lineOf(start('web', process.execPath, '-e', SERVER))
    for (const state of STATES.filter(({ name }) => only.some(part => name.includes(part)))) {
      const found = new Map<string, Memory[]>()
      const keep = (by: string, memory: Memory) => found.set(by, [...(found.get(by) ?? []), memory])
      for (let round = 0; round < rounds; round++) {
        for (const build of rotate(builds, round)) keep(build.name, await ofBuild(build, state))
        if (state.unit === 'KB' && isInstalled('docker-proxy')) keep('docker-proxy', await ofDocker())
      }
      lines.push(...figures.flatMap(figure => linesOf(state, figure, found, builds)))
    }
  } finally {
    endScene()
  }
  return {
    title,
    unit: 'MB',
    versions,
    lines,
    notes: [
      `${rounds} daemons of each build and state, read ${REST_MS / 1000} s after; its own pages, where nothing else is said`,
      `a connection: of ${CONNECTIONS}, of which each has got as far as the container`,
      '× peer is to the other build, where there is one',
    ],
  }
}

let daemons = 0

async function ofBuild({ folder }: Build, { read }: State): Promise<Memory> {
  const env = { TSNET_RUN_DIR: `/run/memory-${++daemons}` }
  const file = `${folder}/tsnet`
  const daemon = await startDaemon(env, { program: file })
  const tsnet: Command = (...words) => {
    execFileSync(file, words, { env: { ...process.env, ...env, TSNET_DAEMON: 'on' }, stdio: 'pipe' })
  }
  try {
    return await read(daemon.pid, tsnet)
  } finally {
    tsnet('unpublish', '--all')
    await daemon.stop()
  }
}

async function ofDocker(): Promise<Memory> {
  const proxies = dockerProxies('tcp', 8200, SERVED)
  await Promise.all(proxies.map(({ stdio }) => stdio[3] && once(stdio[3], 'data')))
  const memory = await ofConnections(
    proxies.map(({ pid = 0 }) => pid),
    8200,
  )
  await Promise.all(proxies.map(end))
  return memory
}

async function atRest(pid: number): Promise<Memory> {
  await sleep(REST_MS)
  return memoryOf(`/proc/${pid}`)
}

/**
 * What each of many connections adds to processes. The first ones find code that has not run and heaps that have not
 * grown: as many have come and gone before.
 */
async function ofConnections(pids: readonly number[], port: number): Promise<Memory> {
  await withClients(pids, port, async () => {})
  await sleep(REST_MS)
  const before = sum(pids)
  const after = await withClients(pids, port, async () => {
    await sleep(REST_MS)
    return sum(pids)
  })
  const each = (figure: Figure) => (after[figure] - before[figure]) / CONNECTIONS
  return { anonymousKb: each('anonymousKb'), pssKb: each('pssKb'), rssKb: each('rssKb') }
}

/** Runs while they are connected; after it they are gone, here too. */
async function withClients<T>(pids: readonly number[], port: number, work: () => Promise<T>): Promise<T> {
  const descriptors = descriptorsOf(pids)
  const clients = start(
    'client',
    process.execPath,
    program('idle-clients'),
    HOST,
    `${port}`,
    `${CONNECTIONS}`,
  )
  const count = Number(await lineOf(clients))
  if (count !== CONNECTIONS) throw new Error(`${count} of ${CONNECTIONS} clients were taken`)
  while (descriptorsOf(pids) < descriptors + 2 * count) await sleep(50)
  const result = await work()
  clients.stdin?.end()
  await once(clients, 'exit')
  // Some pipes stay for the next ones.
  while (descriptorsOf(pids) > descriptors + count / 10) await sleep(50)
  return result
}

const sum = (pids: readonly number[]): Memory => {
  const all = pids.map(pid => memoryOf(`/proc/${pid}`))
  const of = (figure: Figure) => all.reduce((total, each) => total + each[figure], 0)
  return { anonymousKb: of('anonymousKb'), pssKb: of('pssKb'), rssKb: of('rssKb') }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** Of one figure, the peer last. */
function linesOf(
  { name, unit }: State,
  figure: Figure,
  found: ReadonlyMap<string, readonly Memory[]>,
  builds: readonly Build[],
): Line[] {
  const scale = unit === 'MB' ? 1024 : 1
  const summaryOf = (by: string) => summarize((found.get(by) ?? []).map(memory => memory[figure] / scale))
  const other = builds.find(({ isThis }) => !isThis)
  const peer = other?.name ?? (found.has('docker-proxy') ? 'docker-proxy' : undefined)
  return [...found.keys()].map((by): Line => {
    const summary = summaryOf(by)
    const line = { work: `${name}${FIGURES[figure]}`, by, unit, summary }
    const detail = figure === 'anonymousKb' ? {} : { detail: true as const }
    if (by !== THIS.name || peer === undefined) return { ...line, ...detail }
    const ratio = summary.median / summaryOf(peer).median
    const isJudged = other !== undefined && figure === 'anonymousKb'
    return { ...line, ...detail, ratio, ...(isJudged && { budget: BUDGET }) }
  })
}
