/** What `tsnet ports` says of a port. */

import { statSync } from 'node:fs'
import t from 'tap'
import { isThere } from '../../src/netns/container.ts'
import { conditionOf, type ListeningIn, type PortFacts } from '../../src/publish/condition.ts'
import type { Listening } from '../../src/runtime/runtime.ts'

const path = '/proc/self/ns/net'
const { dev, ino } = statSync(path)
const running = { name: 'web', netns: { path, dev, ino } }
const stopped = { name: 'api', netns: { path, dev, ino: ino + 1 } }

const listens = (listening: Listening) => ({ of: () => listening, isThere }) as unknown as ListeningIn
const onEighty = listens({ tcp: [{ port: 80, loopback: false }], udp: [{ port: 53, loopback: true }] })

const facts = (more: Partial<PortFacts> = {}): PortFacts => ({
  protocol: 'tcp',
  target: { port: 80 },
  count: 1,
  containers: [running],
  inside: false,
  backend: 'nftables',
  isHeld: true,
  needsDaemon: false,
  ...more,
})

const both = ['nftables', 'proxy']

t.test('a port is called what it is, and why', async t => {
  const expected: [Partial<PortFacts>, object][] = [
    [{}, { state: 'serving', by: both }],
    [{ natObstacle: 'a rule drops it' }, { state: 'serving', by: both, why: 'a rule drops it' }],
    [
      { obstacle: 'busy', isHeld: false },
      { state: 'waiting', by: ['nftables'], why: 'busy' },
    ],
    [{ containers: [stopped] }, { state: 'stopped', by: both, why: 'api does not run' }],
    [
      { containers: [stopped], obstacle: 'docker is down' },
      { state: 'stopped', by: both, why: 'docker is down' },
    ],
    [{ containers: [running, stopped] }, { state: 'serving', by: both, why: 'api does not run' }],
    [{ isEnding: true }, { state: 'ending', by: both }],
    [{ isStarting: true }, { state: 'starting', by: both }],
    [
      { isHeld: false, needsDaemon: true },
      { state: 'serving', by: ['nftables'], why: 'no daemon runs: nobody answers on 127.0.0.1 and ::1' },
    ],
  ]
  for (const [more, condition] of expected) t.same(conditionOf(facts(more), onEighty), condition)
  const { backend: _, ...proxied } = facts({ isHeld: false, needsDaemon: true })
  t.same(conditionOf(proxied, onEighty), { state: 'waiting', by: [], why: 'no daemon runs' })
})

t.test('where nobody listens, what is listened on is said', async t => {
  const why = (more: Partial<PortFacts>, listening = onEighty) => conditionOf(facts(more), listening).why
  const at = (port: number) => ({ target: { port } })
  t.equal(why(at(81)), 'nothing listens on 81/tcp of web; it listens on 80/tcp, 53/udp (loopback alone)')
  t.equal(why(at(81), listens({ tcp: [] })), 'nothing listens on 81/tcp of web; it listens on nothing yet')
  t.equal(why({ ...at(79), count: 2 }), undefined, 'one of a range is enough')
  const udp = { protocol: 'udp', ...at(53) } as const
  t.equal(why(udp), 'web listens on 53 of 127.0.0.1 or ::1 alone: publish it with --via netns')
  t.equal(why({ ...udp, inside: true }), undefined, 'which is where it is dialled from')
  t.equal(why({ protocol: 'sctp', ...at(9) }), undefined, 'nobody can tell')
  t.equal(why({ target: { socket: '/run/a.sock' } }), undefined)
  t.equal(conditionOf(facts(at(81)), onEighty).state, 'silent')
})
