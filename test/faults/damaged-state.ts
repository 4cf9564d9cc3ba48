/**
 * Everything that is written down of two containers, damaged file by file while they run: the next calls come to an
 * end in time, DEL and GC leave nothing but what was set aside, and nobody else is affected. The control: a host on
 * which the same is done and DEL is not called keeps its bridge.
 */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { damage, NEWER } from '../support/damage.ts'
import type { Plugin } from '../support/plugin.ts'
import { BACKENDS, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

/** All kinds are tried on all files in test/records/state-files.ts; here each file has one that fails in a way of its own. */
const KINDS = ['empty', 'an empty object', 'a FIFO', 'a directory']
const RUN = '/run/tsnet'
/** No call waits for a FIFO. */
const IN_TIME_MS = 30_000

/** What was set aside stays, for people to look at. */
const isLeft = (line: string): boolean => !/ \/run\/tsnet(\/damaged\S*)? appeared/.test(line)

/** Every file that holds state, by its path below a folder. */
function stateFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    name => /\.json$/.test(name) && statSync(join(folder, name)).isFile(),
  )
}

interface Town {
  scene: Scene
  front: Plugin
  ports: { hostPort: number; containerPort: number }[]
}

async function open(t: Test, backend: (typeof BACKENDS)[number]): Promise<Town> {
  const scene = await Scene.open(backend, 'web', 'api', 'next')
  t.teardown(() => scene.close())
  return { scene, front: scene.network('front', 10), ports: [{ hostPort: 8080, containerPort: 80 }] }
}

async function inTime<T>(t: Test, what: string, work: Promise<T>): Promise<T> {
  const began = performance.now()
  try {
    return await work
  } finally {
    const took = performance.now() - began
    if (took > IN_TIME_MS) t.fail(`${what} took ${Math.round(took)} ms`)
  }
}

for (const backend of BACKENDS) {
  t.test(`${backend}: DEL leaves nothing, whichever file was damaged, and how`, async t => {
    const { scene, front, ports } = await open(t, backend)
    const folder = scene.host.path(RUN)
    const seen = new Set<string>()
    const round = async (file: string | undefined, kind = ''): Promise<string[]> => {
      await front.add(scene.get('web'), { ports })
      await front.add(scene.get('api'), { ports: [{ hostPort: 8081, containerPort: 80 }] })
      const files = stateFiles(folder)
      if (file !== undefined) {
        const path = join(folder, file)
        damage(path, kind, readFileSync(path, 'utf8'))
        const what = `${file} is ${kind}`
        const taken = front.add(scene.get('next'), { ports })
        await t.rejects(inTime(t, what, taken), { code: 101 }, `${what}: no port goes to two`)
        await front.delete(scene.get('next'))
        for (const name of ['web', 'api'] as const)
          t.ok(
            await scene.client.ask('tcp', '192.168.50.1', name === 'web' ? 8080 : 8081),
            `${what}: ${name} answers`,
          )
      }
      const what = `${file ?? 'nothing'} ${kind}`
      await inTime(t, what, front.delete(scene.get('web')))
      await inTime(t, what, front.delete(scene.get('api')))
      t.same(await scene.residue(isLeft), [], what)
      await scene.host.run('rm', '-rf', RUN)
      return files
    }
    for (const [index, file] of (await round(undefined)).entries()) {
      seen.add(file)
      await round(file, KINDS[index % KINDS.length])
    }
    t.ok(seen.has('host.json') && [...seen].some(file => file.startsWith('ports/')), [...seen].join(' '))
  })
}

t.test('GC takes what the damaged record of a container that is no more would have told', async t => {
  const { scene, front, ports } = await open(t, 'nftables')
  for (const valid of [undefined, []]) {
    await front.add(scene.get('web'), { ports })
    const folder = scene.host.path(`${RUN}/attachments`)
    for (const name of readdirSync(folder)) damage(join(folder, name), 'garbage', '')
    await scene.get('web').remove()
    const there = await scene.differences()
    t.ok(
      there.some(line => /br-front/.test(line)),
      'the control: the bridge is there',
    )
    await front.collect(valid)
    t.same(await scene.residue(line => isLeft(line) && !/ (web|\/run\/netns\/web) /.test(line)), [])
    await scene.host.run('rm', '-rf', RUN)
    await scene.container('web')
  }
})

t.test('what a newer build wrote is refused by its number, and nothing of it is lost', async t => {
  const { scene, front, ports } = await open(t, 'iptables')
  await front.add(scene.get('web'), { ports })
  await front.add(scene.get('api'))
  const folder = scene.host.path(`${RUN}/attachments`)
  const newer =
    readdirSync(folder).find(name => readFileSync(join(folder, name), 'utf8').includes('"web"')) ?? ''
  const before = readFileSync(join(folder, newer), 'utf8')
  await scene.host.run('sh', '-c', `cat > ${RUN}/attachments/${newer}`, { stdin: NEWER })
  const refused = { message: /newer tsnet, in format 2; this one understands 1/ }
  await t.rejects(front.delete(scene.get('web')), refused)
  t.equal(readFileSync(join(folder, newer), 'utf8'), NEWER)
  await front.delete(scene.get('api'))
  t.ok(await scene.client.ask('tcp', '192.168.50.1', 8080), 'it is served as before')
  await scene.host.run('sh', '-c', `cat > ${RUN}/attachments/${newer}`, { stdin: before })
  await front.delete(scene.get('web'))
  t.same(await scene.residue(), [])
})
