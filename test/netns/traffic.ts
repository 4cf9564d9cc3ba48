/**
 * Who reaches whom, and as whom, over both NAT backends, both families, TCP and UDP.
 *
 *     client eth0 ──── lan0 host ┬─ br-front 10.10.0.1 fd10::1 ┬─ web      8080 of the host → 80
 *                                │                             └─ neighbour
 *                                └─ br-back  10.20.0.1 fd20::1 ── stranger
 */

import t from 'tap'
import type { Place } from 'tsnet/lab'
import { addressOf } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

const FAMILIES = [4, 6] as const
const TRANSPORTS = ['tcp', 'udp'] as const
const PUBLISHED = 8080

t.setTimeout(600_000) // on a busy machine

for (const backend of BACKENDS) {
  t.test(`${backend}: who reaches whom`, async t => {
    const scene = await Scene.open(backend, 'web', 'neighbour', 'stranger')
    t.teardown(() => scene.close())
    const { host, client } = scene
    const [web, neighbour, stranger] = [scene.get('web'), scene.get('neighbour'), scene.get('stranger')]
    const front = scene.network('front', 10)
    const back = scene.network('back', 20)
    const ports = TRANSPORTS.map(protocol => ({ hostPort: PUBLISHED, containerPort: ANSWERS, protocol }))
    const results = {
      web: await front.add(web, { ports }),
      neighbour: await front.add(neighbour),
      stranger: await back.add(stranger),
    }
    t.comment(`\n${scene.world.draw()}`)

    /** Asks over everything, and compares who is seen: [answering place, address that the place saw]. */
    const reaches = async (
      from: Place,
      to: (family: 4 | 6) => string,
      port: number,
      as: (family: 4 | 6) => string,
    ) => {
      for (const family of FAMILIES) {
        for (const transport of TRANSPORTS) {
          const what = `${from.name} → ${to(family)} ${transport} ${port}`
          const answer = await from.ask(transport, to(family), port).catch((thrown: Error) => thrown)
          t.match(answer, { peer: as(family) }, what)
        }
      }
    }
    const isKeptFrom = async (from: Place, to: (family: 4 | 6) => string, port: number) => {
      for (const family of FAMILIES) {
        for (const transport of TRANSPORTS) {
          const question = from.ask(transport, to(family), port, { withinMs: 200 })
          await t.rejects(question, { name: 'NoAnswer' }, `${from.name} ↛ ${to(family)} ${transport} ${port}`)
        }
      }
    }
    const at = (name: keyof typeof results) => (family: 4 | 6) => addressOf(results[name], family)
    const gateway = (n: number) => (family: 4 | 6) => (family === 4 ? `10.${n}.0.1` : `fd${n}::1`)
    const onHost = (family: 4 | 6) => HOST[family]
    const onClient = (family: 4 | 6) => CLIENT[family]

    // Before anything else was said: the first packet has to find its way.
    await t.test('the outside and a published port, in its own name', async () => {
      await reaches(client, onHost, PUBLISHED, onClient)
    })
    await t.test('a container and its neighbour, by their own addresses', async () => {
      await reaches(web, at('neighbour'), ANSWERS, at('web'))
      await reaches(neighbour, at('web'), ANSWERS, at('neighbour'))
    })
    await t.test('the host and a container', async () => {
      await reaches(host, at('web'), ANSWERS, gateway(10))
    })
    await t.test('a container and the outside, in the name of the host', async () => {
      await reaches(web, onClient, ANSWERS, onHost)
      await reaches(stranger, onClient, ANSWERS, onHost)
    })
    await t.test('the host and a port that it publishes itself', async () => {
      await reaches(host, onHost, PUBLISHED, onHost)
    })
    await t.test('a container and its own published port (hairpin), its neighbour too', async () => {
      await reaches(web, onHost, PUBLISHED, gateway(10))
      await reaches(neighbour, onHost, PUBLISHED, gateway(10))
      await reaches(neighbour, gateway(10), PUBLISHED, gateway(10))
    })
    await t.test('a container of another network and a published port', async () => {
      await reaches(stranger, onHost, PUBLISHED, gateway(10))
    })
    await t.test('two networks are kept from each other', async () => {
      await isKeptFrom(stranger, at('web'), ANSWERS)
      await isKeptFrom(web, at('stranger'), ANSWERS)
    })
    await t.test('the outside reaches no container by its own address, published or not', async () => {
      client.route('10.10.0.0/16', HOST[4])
      client.route('fd10::/64', HOST[6])
      await isKeptFrom(client, at('web'), ANSWERS)
      await isKeptFrom(client, at('neighbour'), ANSWERS)
    })
    await t.test('nothing is left when all are gone', async t => {
      await front.delete(web, { ports, prevResult: results.web })
      await back.delete(stranger, { prevResult: results.stranger })
      await front.delete(neighbour, { prevResult: results.neighbour })
      t.strictSame(await scene.residue(), [])
    })
  })
}
