/**
 * Containers that come and go for a long time, published and asked while they are there: what the daemon and the kernel
 * hold does not grow with the number of those who were. Counts are the same after as before; memory, which a garbage
 * collector moves about, has a slope whose interval of 95 % contains 0, or is below a hundred bytes a cycle.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import t from 'tap'
import { Calls } from '../support/calls.ts'
import { extent } from '../support/extent.ts'
import { memoryOf } from '../support/memory.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'
import { slopeOf } from '../support/slope.ts'

const CYCLES = extent(40, 5000)
const SAMPLES = 20
/** What is warm by then is not counted. */
const WARM = extent(40, 500)
const BYTES_A_CYCLE = 100

t.setTimeout(extent(300_000, 7_200_000))

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
      if (i % Math.ceil(CYCLES / SAMPLES) === 0) points.push([i, memoryOf(proc).pssKb * 1024])
    }
    const after = await counts()
    t.strictSame({ ...after, objects: 0 }, { ...before, objects: 0 })
    const { slope, half } = slopeOf(points)
    // In a short run a heap is still growing into its size.
    if (CYCLES > 1000)
      t.ok(
        Math.abs(slope) <= half || slope < BYTES_A_CYCLE,
        `${slope.toFixed()} ± ${half.toFixed()} bytes a cycle`,
      )
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
    const kind = readlinkSync(`${folder}/${fd}`).replace(/\d+/g, 'N')
    kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  return kinds
}
