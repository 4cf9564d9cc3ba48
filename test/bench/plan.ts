import t from 'tap'
import { figuresIn, planText } from '../../bench/meter/plan.ts'

t.test('a plan has a word and its text on each line, and what a run consists of before it', async t => {
  t.equal(
    planText([
      { netns: '/run/netns/host' },
      { pauseMs: 50 },
      { clockOf: 12 },
      {
        run: {
          name: 'second',
          command: ['/bin/plugin', 'a word'],
          env: { CNI_COMMAND: 'ADD' },
          stdin: ['{"prevResult":', { answerOf: 'first' }, '}'],
        },
      },
    ]),
    [
      'netns /run/netns/host',
      'pause 50',
      'clock 12',
      'arg /bin/plugin',
      'arg a word',
      'env CNI_COMMAND=ADD',
      'text {"prevResult":',
      'answer first',
      'text }',
      'run second',
      '',
    ].join('\n'),
  )
})

t.test('a text that would be another line of the plan is refused', async t => {
  t.throws(() => planText([{ netns: '/run\nrun this' }]), /one line/)
})

t.test(
  'figures are nanoseconds: how long, processor time, and how long a process waited for one',
  async t => {
    t.same(figuresIn('2500000 1000000 0\n0 4000000 500000\n'), [
      { ms: 2.5, processorMs: 1, waitedMs: 0 },
      { ms: 0, processorMs: 4, waitedMs: 0.5 },
    ])
    t.throws(() => figuresIn('what?\n'), /not what a meter prints/)
    t.throws(() => figuresIn('1 2\n'), /not what a meter prints/)
  },
)
