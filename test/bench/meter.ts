import t from 'tap'
import { measure } from '../../bench/meter/meter.ts'
import { runByNode } from '../../bench/meter/node-meter.ts'
import type { Figure, Run, Step } from '../../bench/meter/plan.ts'

const sh = (name: string, script: string, stdin: Run['stdin'] = []): Step => ({
  run: {
    name,
    command: ['sh', '-c', script],
    env: { PATH: process.env.PATH ?? '', GREETING: 'hello' },
    stdin,
  },
})

function byProgram(steps: readonly Step[]): readonly Figure[] {
  let found: readonly Figure[] = []
  const keep = (figures: readonly Figure[]) => {
    found = figures
  }
  measure([{ steps, keep }])
  return found
}

const meters = { 'the program': byProgram, Node: runByNode }

for (const [name, meter] of Object.entries(meters)) {
  t.test(`${name} hands a call its environment, and what another has said`, async t => {
    meter([
      sh('first', 'printf %s "$GREETING"'),
      sh('second', 'test "$(cat)" = "[hello]"', ['[', { answerOf: 'first' }, ']']),
    ])
    t.throws(
      () => meter([sh('third', 'test "$(cat)" = other', [{ answerOf: 'first' }])]),
      /third of sh ended with 1/,
    )
    t.throws(() => meter([sh('loud', 'echo why; echo not >&2; exit 3')]), /loud of sh ended with 3: why\nnot/)
  })

  t.test(`${name} measures a call from start to end, and not the pause before it`, async t => {
    const [short, long] = meter([{ pauseMs: 2_000 }, sh('short', 'true'), sh('long', 'sleep 0.2')])
    t.ok(short && long && short.ms < 2_000 && long.ms >= 200, `${short?.ms} and ${long?.ms}`)
  })
}

t.test('each part keeps the figures of its own runs and clocks', async t => {
  const counts: number[] = []
  const keep = (figures: readonly Figure[]) => {
    counts.push(figures.length)
  }
  const clock: Step = { clockOf: process.pid }
  measure([
    { steps: [clock, { pauseMs: 1 }, sh('a', 'true')], keep },
    { steps: [sh('b', 'true')] },
    { steps: [], keep },
    { steps: [clock], keep },
  ])
  t.same(counts, [2, 0, 1])
})
