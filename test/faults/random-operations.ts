/**
 * Random operations of several workers on one host, while calls, commands and daemons are killed, rules taken away, and
 * the host starts anew. Whatever comes: no address and no port has two owners, a call that is refused has a reason, a port
 * is answered by who has it, and when all are gone nothing is left.
 *
 * In the long form 2 000 operations by 16 workers, five times; TEST_SEED says which, TEST_OPERATIONS how many.
 */

import fc from 'fast-check'
import t from 'tap'
import { extent, seeds } from '../support/extent.ts'
import { faultsIn, type Operation } from '../support/history.ts'
import { type End, RandomHost } from '../support/random-host.ts'
import { BACKENDS } from '../support/scene.ts'

const OPERATIONS = Number(process.env.TEST_OPERATIONS ?? extent(30, 2000))
const WORKERS = extent(4, 16)

t.setTimeout(extent(600_000, 3_600_000))

/** Fewer than containers, so that some are refused. */
const PORTS = [8001, 8002, 8003, 8004].slice(0, Math.max(2, WORKERS / 2))
const CONTAINERS_OF_ONE = 2
const [SUBNET, ADDRESSES] = WORKERS > 4 ? (['10.10.0.0/27', 29] as const) : (['10.10.0.0/29', 5] as const)

type Command = fc.AsyncCommand<RandomHost, RandomHost>

/** What the host knows of containers is the model: it is what workers have been told. */
const command = (
  name: string,
  isPossible: (host: RandomHost) => boolean,
  run: (host: RandomHost) => Promise<void>,
) => ({ check: isPossible, run: (_, host) => run(host), toString: () => name }) satisfies Command

const killAfterMs = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 250 }) },
)
const port = fc.constantFrom(...PORTS)
const often = <T>(times: number, arbitrary: fc.Arbitrary<T>) => Array.from({ length: times }, () => arbitrary)

function commandsOf(names: string[], withDaemon: boolean): fc.Arbitrary<Command>[] {
  const name = fc.constantFrom(...names)
  const there = (who: string) => (host: RandomHost) => host.of(who).state === 'there'
  const add = fc
    .tuple(name, fc.option(port, { freq: 2, nil: undefined }), killAfterMs)
    .map(([who, wanted, kill]) =>
      command(
        'add',
        host => host.of(who).state !== 'there',
        host => host.add(who, wanted, kill),
      ),
    )
  const del = fc.tuple(name, fc.integer({ max: 3, min: 0 }), killAfterMs).map(([who, n, kill]) =>
    command(
      'del',
      host => host.of(who).published === undefined,
      host => host.delete(who, n === 0, kill),
    ),
  )
  const check = name.map(who => command('check', there(who), host => host.check(who)))
  const ask = name.map(who => command('ask', there(who), host => host.ask(who)))
  const publish = fc.tuple(name, port, killAfterMs).map(([who, wanted, kill]) =>
    command(
      'publish',
      host => there(who)(host) && host.of(who).published === undefined,
      host => host.publish(who, wanted, kill),
    ),
  )
  const unpublish = fc.tuple(name, killAfterMs).map(([who, kill]) =>
    command(
      'unpublish',
      host => host.of(who).published !== undefined,
      host => host.unpublish(who, kill),
    ),
  )
  const always = () => true
  const collect = fc.constant(command('collect', always, host => host.collect()))
  const flush = fc.constant(command('flush', always, host => host.flush()))
  const reboot = fc.constant(command('reboot', always, host => host.reboot()))
  const restart = fc
    .constantFrom<End>('killed', 'stopped', 'followed')
    .map(how => command(`restart ${how}`, always, host => host.restart(how)))
  const ofDaemon = withDaemon ? [...often(4, publish), ...often(3, unpublish), restart] : []
  return [
    ...often(10, add),
    ...often(5, del),
    ...often(2, check),
    ...often(3, ask),
    collect,
    flush,
    reboot,
    ...ofDaemon,
  ]
}

const count = (history: readonly Operation[]): string =>
  [...new Set(history.map(({ kind }) => kind))]
    .map(kind => `${history.filter(one => one.kind === kind).length} ${kind}`)
    .join(', ')

const worlds = seeds.flatMap(seed =>
  BACKENDS.flatMap(backend => [false, true].map(withDaemon => ({ seed, backend, withDaemon }))),
)

for (const { seed, backend, withDaemon } of worlds) {
  const how = `${backend}, ${withDaemon ? 'with the daemon' : 'without a daemon'}, seed ${seed}`
  t.test(`${how}: whatever comes, nothing is given twice and nothing is left`, async t => {
    const crews = Array.from({ length: WORKERS }, (_, worker) =>
      Array.from({ length: CONTAINERS_OF_ONE }, (_, i) => `w${worker}c${i}`),
    )
    const host = await RandomHost.open({ backend, withDaemon, containers: crews.flat(), subnet: SUBNET })
    t.teardown(() => host.scene.close())
    const each = Math.ceil(OPERATIONS / WORKERS)
    const work = fc.tuple(
      ...crews.map(names =>
        fc.array(fc.oneof(...commandsOf(names, withDaemon)), { minLength: each, maxLength: each }),
      ),
    )
    const parameters = { seed, numRuns: 1, endOnFailure: true, unbiased: true }
    const run = await fc.check(
      fc.asyncProperty(work, async all => {
        await Promise.all(all.map(some => fc.asyncModelRun(() => ({ model: host, real: host }), some)))
      }),
      parameters,
    )
    // The seed tells the operations; what failed is told by the error alone.
    if (run.failed) throw run.errorInstance
    const residue = await host.settle()
    t.strictSame(residue, [])
    t.strictSame(faultsIn(host.history, ADDRESSES), [])
    const killed = host.history.filter(({ outcome }) => outcome === 'killed').length
    const refused = host.history.filter(({ outcome }) => outcome === 'refused').length
    t.comment(
      `figure: random operations, ${how}: ${host.history.length} by ${WORKERS} workers (${count(host.history)}; ${killed} killed, ${refused} refused)`,
    )
  })
}
