/**
 * Containers that come and go for a long time, published and asked while they are there: what the daemon and the kernel
 * hold does not grow with the number of those who were. Counts are no higher after than before; memory, which a garbage
 * collector moves about, has a slope whose interval of 95 % contains 0, or is below a hundred bytes a cycle. It is that of
 * pages which are no file's: of a file's, a process has the larger a share the fewer others run.
 *
 * In the long form 5 000 of them, after a third as many; TEST_CYCLES says how many.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { hasCode } from '../../src/model/errors.ts'
import { Calls } from '../support/calls.ts'
import { extent, isLong } from '../support/extent.ts'
import { memoryOf } from '../support/memory.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'
import { slopeOf } from '../support/slope.ts'

const CYCLES = Number(process.env.TEST_CYCLES ?? extent(40, 5000))
const SAMPLES = 20
/** What is warm by then is not counted. */
const WARM = Math.max(40, Math.floor(CYCLES / 3))
const BYTES_A_CYCLE = 100

t.setTimeout(extent(600_000, 7_200_000))

t.test('a line has its slope, and the scatter of points its interval', async t => {
  const line = Array.from({ length: 20 }, (_, x) => [x, 3 * x + 1] as const)
  t.match(slopeOf(line), { slope: 3, half: 0 })
  const flat = line.map(([x]) => [x, x % 2 === 0 ? 10 : -10] as const)
  const { slope, half } = slopeOf(flat)
  t.ok(Math.abs(slope) < half, 'no slope in noise')
  const rising = flat.map(([x, y]) => [x, y + 10 * x] as const)
  t.ok(slopeOf(rising).slope > slopeOf(rising).half, 'control: one that rises is seen')
})

for (const backend of BACKENDS) {
  t.test(`${backend}: nothing grows with those who came and went`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    const calls = new Calls(scene, 'program')
    const daemon = await calls.serve()
    const portMappings = [{ hostPort: 8080, containerPort: ANSWERS, protocol: 'tcp' }]
    const config = { runtimeConfig: { portMappings } }
    const proc = `/proc/${daemon.pid}`
    const counts = async () => ({
      descriptors: kindsOf(`${proc}/fd`),
      threads: readdirSync(`${proc}/task`).length,
      rules: (await scene.host.run('nft', '-a', 'list', 'ruleset')).stdout
        .replace(/counter packets \d+ bytes \d+|# handle \d+/g, '')
        .split('\n').length,
      files: (await scene.host.run('sh', '-c', 'find /run/tsnet /var/lib/cni | wc -l')).stdout.trim(),
      connections: readFileSync(`${proc}/net/nf_conntrack`, 'utf8')
        .split('\n')
        .filter(line => line.includes('=10.10.')).length,
      objects: slabsOf('net_namespace', 'nf_conntrack'),
    })
    const cycle = async () => {
      const add = await calls.run('ADD', 'web', { config })
      if (add.code !== 0) t.fail(add.stdout)
      await scene.client.ask('tcp', HOST[4], 8080)
      const del = await calls.run('DEL', 'web', { config })
      if (del.code !== 0) t.fail(del.stdout)
    }
    for (let i = 0; i < WARM; i++) await cycle()
    const before = await counts()
    const points: (readonly [number, number])[] = []
    for (let i = 1; i <= CYCLES; i++) {
      await cycle()
      if (i % Math.ceil(CYCLES / SAMPLES) !== 0) continue
      const { anonymousKb } = memoryOf(proc)
      points.push([i, anonymousKb * 1024])
      if (isLong) t.comment(`progress: ${i} of ${CYCLES}, ${(anonymousKb / 1024).toFixed(1)} MB`)
    }
    const grown = ({ descriptors }: Awaited<ReturnType<typeof counts>>) =>
      Object.entries(descriptors).filter(([kind, count]) => count > (before.descriptors[kind] ?? 0))
    // What looks again now and then has a file open for a moment.
    const after = await waitFor(
      async () => {
        const now = await counts()
        return grown(now).length === 0 ? now : undefined
      },
      { what: 'as many descriptors as before' },
    )
    for (const what of ['threads', 'rules', 'files', 'connections'] as const)
      t.ok(
        Number(after[what]) <= Number(before[what]),
        `${what}: ${before[what]} before, ${after[what]} after`,
      )
    const { slope, half } = slopeOf(points)
    // In a short run a heap is still growing into its size.
    if (CYCLES >= 500)
      t.ok(slope <= half || slope < BYTES_A_CYCLE, `${slope.toFixed()} ± ${half.toFixed()} bytes a cycle`)
    await calls.end()
    t.strictSame(await scene.residue(), [])
    t.comment(
      `figure: ${CYCLES} containers one after the other, ${backend}: memory ${slope.toFixed()} ± ${half.toFixed()} bytes a container; descriptors, threads, rules, files and connections as before; kernel objects ${before.objects} before, ${after.objects} after`,
    )
  })
}

/** Objects of the whole machine, other hosts' among them. */
function slabsOf(...names: string[]): number {
  const lines = readFileSync('/proc/slabinfo', 'utf8').split('\n')
  return names.reduce(
    (sum, name) => sum + Number(lines.find(line => line.startsWith(`${name} `))?.split(/ +/)[1] ?? 0),
    0,
  )
}

function kindsOf(folder: string): Record<string, number> {
  const kinds: Record<string, number> = {}
  for (const fd of readdirSync(folder)) {
    const kind = targetOf(`${folder}/${fd}`)?.replace(/\d+/g, 'N')
    if (kind !== undefined) kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  return kinds
}

/** Undefined for one that was closed meanwhile. */
function targetOf(link: string): string | undefined {
  try {
    return readlinkSync(link)
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return undefined
    throw thrown
  }
}
