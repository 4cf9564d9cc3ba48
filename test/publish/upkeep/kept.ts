/** Publications at rest: whom they wait for, when they begin, and what is said meanwhile. */

import t, { type Test } from 'tap'
import { type ErrorCode, TsnetError } from '../../../src/model/errors.ts'
import type { Container, Publication } from '../../../src/model/publication/publication.ts'
import { Turns } from '../../../src/publish/turns.ts'
import { Kept } from '../../../src/publish/upkeep/kept.ts'
import { readLasting, removeLasting, writeLasting } from '../../../src/records/lasting.ts'
import { removePublication, writePublication } from '../../../src/records/publications.ts'
import { publication } from '../../support/publications.ts'

const [A, B] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb']

const called = (name: string): Container => ({
  runtime: 'docker',
  id: name,
  name,
  reference: `docker:${name}`,
  netns: { path: '', dev: 0, ino: 0 },
  addresses: [],
})

/** A world in which containers come and go by a word, and what begins is noted. */
class World {
  readonly there = new Map<string, Container>()
  /** Instead of what is there. */
  failure: Error | undefined
  refusal: Error | undefined
  readonly begun: Publication[] = []
  readonly told: string[] = []
  readonly asked: string[] = []
  readonly served: Publication[] = []
  readonly kept: Kept

  constructor(t: Test) {
    process.env.TSNET_RUN_DIR = t.testdir()
    this.kept = new Kept({
      serving: {
        begin: async draft => {
          if (this.refusal !== undefined) throw this.refusal
          this.begun.push(draft)
          this.served.push(draft)
          writePublication(draft)
          return draft
        },
      },
      turns: new Turns(),
      members: () => ({ here: [], away: [], drained: 0 }),
      resolver: {
        findAgain: async container => {
          this.asked.push(container.reference)
          if (this.failure !== undefined) throw this.failure
          const found = this.there.get(container.name)
          if (found !== undefined) return found
          throw new TsnetError('unknown-container', `no container answers to ${container.reference}`)
        },
      },
      list: () => this.served,
      tell: (event, { id }, { why } = {}) => {
        this.told.push([event, id, ...(why === undefined ? [] : [why])].join(' '))
      },
    })
  }

  comes(name: string, ino: number): void {
    this.there.set(name, { ...called(name), netns: { path: `/run/netns/${name}`, dev: 4, ino } })
  }

  rest(id: string, ...names: string[]): void {
    writeLasting(publication({ id, containers: names.map(called), keep: true }))
  }

  tend(isDue: (publication: Publication) => boolean = () => true): Promise<void> {
    return this.kept.tend(isDue)
  }
}

const error = (code: ErrorCode, message: string): TsnetError => new TsnetError(code, message)

t.test('one whose container is not there is said to wait once, and begins when it is back', async t => {
  const world = new World(t)
  world.rest(A, 'web')
  for (let i = 0; i < 3; i++) await world.tend()
  const why = 'web is not there; the port is free until it is back'
  t.same(world.told, [`waiting ${A} ${why}`])
  t.equal(world.kept.obstacleOf(A), why)
  t.equal(world.asked.length, 3, 'it is looked for every time')

  world.comes('web', 9)
  await world.tend()
  t.match(world.begun, [{ id: A, containers: [{ name: 'web', netns: { ino: 9 } }], keep: true }])
  t.equal(world.told.at(-1), `serving ${A}`)
  t.equal(world.kept.obstacleOf(A), undefined)
  t.same(world.kept.list(), [], 'and does not rest any more')
  await world.tend()
  t.equal(world.begun.length, 1)
})

t.test(
  'a container that does not run is called so, and a runtime that hangs is no word about it',
  async t => {
    const world = new World(t)
    world.rest(A, 'web')
    world.failure = error('not-running', 'container web is not running')
    await world.tend()
    t.equal(world.kept.obstacleOf(A), 'web does not run; the port is free until it is back')
    world.failure = error('io', 'docker does not answer')
    await world.tend()
    t.equal(world.kept.obstacleOf(A), 'docker does not answer')
    await world.tend()
    t.equal(world.asked.length, 2, 'what may last is tried again less often')
    t.same(world.told, [
      `waiting ${A} web does not run; the port is free until it is back`,
      `waiting ${A} docker does not answer`,
    ])
  },
)

t.test('of several that share the load, one that is back is enough', async t => {
  const world = new World(t)
  world.rest(A, 'web1', 'web2')
  await world.tend()
  t.equal(world.kept.obstacleOf(A), 'web1, web2 is not there; the port is free until it is back')
  world.comes('web2', 5)
  await world.tend()
  t.match(world.begun, [
    {
      containers: [
        { name: 'web1', netns: { ino: 0 } },
        { name: 'web2', netns: { ino: 5 } },
      ],
    },
  ])
})

t.test('a port that somebody has by then is waited for, and nothing is lost', async t => {
  const world = new World(t)
  world.rest(A, 'web')
  world.comes('web', 9)
  world.refusal = error('conflict', 'port 8080/tcp is in use by nginx')
  await world.tend()
  t.equal(world.kept.obstacleOf(A), 'port 8080/tcp is in use by nginx')
  t.match(readLasting(A), { id: A })
  t.same(
    world.kept.list().map(({ id }) => id),
    [A],
  )
  world.kept.forget(A)
  world.refusal = undefined
  await world.tend()
  t.match(world.begun, [{ id: A }])
})

t.test(
  'containers are looked for once, however many publications lead to them, and those alone that are due',
  async t => {
    const world = new World(t)
    world.rest(A, 'web')
    world.rest(B, 'web')
    await world.tend()
    t.same(world.asked, ['docker:web'])
    world.comes('web', 9)
    await world.tend(({ id }) => id === B)
    t.match(world.begun, [{ id: B }])
    t.equal(world.begun.length, 1)
  },
)

t.test('what was ended, or begun by somebody else, while its container was looked for stays so', async t => {
  for (const [what, happens] of [
    ['ended', () => removeLasting(A)],
    ['begun', () => writePublication(publication({ id: A }))],
  ] as const) {
    const world = new World(t)
    world.rest(A, 'web')
    world.comes('web', 9)
    const tending = world.tend()
    happens()
    await tending
    t.same(world.begun, [], what)
    removePublication(A)
  }
})
