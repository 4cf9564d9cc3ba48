/** What `tsnet top` and `tsnet events` print, and that the documents show it so. */

import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { lineOf } from '../../src/cli/watching/events.ts'
import { frameOf, linesOf, short } from '../../src/cli/watching/frame.ts'
import { openScreen } from '../../src/cli/watching/screen.ts'
import { wholeOf } from '../../src/cli/watching/top.ts'
import type { CountersReport } from '../../src/observe/observe.ts'

const traffic = { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0, dropped: 0 }
const counts = { ...traffic, connections: 0, active: 0, refused: 0, denied: 0, evicted: 0 }

function report(at: number, more: number, containers = 3): CountersReport {
  return {
    at,
    tookMs: 1,
    generation: 0,
    isWhole: true,
    ports: [
      {
        id: 'a',
        source: 'publish',
        protocol: 'tcp',
        hostPort: 80,
        count: 1,
        containers: [{ id: '1', name: 'quiet' }],
        ...counts,
      },
      {
        id: 'b',
        source: 'publish',
        protocol: 'tcp',
        hostIp: '::1' as never,
        hostPort: 8080,
        count: 2,
        containers: [{ id: '2', name: 'a-container-with-a-very-long-name-indeed' }],
        ...counts,
        connections: more,
        active: 2,
        bytesIn: 1_000 * more,
        bytesOut: 2_000_000 * more,
      },
    ],
    containers: Array.from({ length: containers }, (_, i) => ({
      owner: String(i),
      id: String(i),
      name: i === 0 ? '\u001b[31mred\u202e' : `c${i}`,
      network: 'front',
      ifname: 'eth0',
      addresses: [],
      ...traffic,
      bytesIn: i * more,
    })),
  }
}

t.test('rates are what two reports differ by, and what moves the most comes first', async t => {
  const frame = frameOf(report(3_000, 30), report(1_000, 10))
  t.match(frame.ports, [
    { id: 'b', kind: 'port', rates: { connections: 10, bytesIn: 10_000, bytesOut: 20_000_000 } },
    { id: 'a', rates: { bytesIn: 0 } },
  ])
  t.strictSame(frame.containers.map(({ name, rates }) => [name, rates.bytesIn]).slice(0, 2), [
    ['c2', 20],
    ['c1', 10],
  ])
  t.match(frameOf(report(3_000, 5), report(1_000, 10)).ports[0]?.rates, { bytesIn: 0 }, 'it began anew')
  t.match(frameOf(report(1_000, 5), undefined).ports[0]?.rates, { bytesIn: 0 })
})

t.test('what a report leaves out is as it was', async t => {
  const [before, after] = [report(1_000, 10), report(3_000, 30)]
  const some = {
    ...after,
    isWhole: false,
    ports: after.ports.slice(1),
    containers: after.containers.slice(1, 2),
  }
  const whole = wholeOf(some, before)
  t.strictSame(whole.ports, [before.ports[0], after.ports[1]])
  t.strictSame(whole.containers, [before.containers[0], after.containers[1], before.containers[2]])
  t.equal(wholeOf(after, before), after)
})

t.test('a frame fits every terminal, and shows nothing that moves its cursor', async t => {
  const frame = frameOf(report(3_000, 30, 100), report(1_000, 10, 100))
  for (const columns of [20, 40, 60, 80, 200]) {
    for (const rows of [5, 10, 24, 50]) {
      const lines = linesOf(frame, { columns, rows, lively: false })
      t.ok(
        lines.every(line => [...line].length <= columns),
        `${columns} columns`,
      )
      t.ok(lines.length <= Math.max(rows, 8), `${lines.length} lines of ${rows}`)
      t.notMatch(lines.join('\n'), /\p{Cc}(?<!\n)|\u202e/u)
    }
  }
  const narrow = linesOf(frame, { columns: 20, rows: 12, lively: false })
  t.strictSame(narrow.slice(0, 4), [
    'tsnet top 00:00:03 …',
    '',
    'PORT      IN/s OUT/s',
    '[::1]:80…  10k   20M',
  ])
  t.ok(narrow.some(line => /^and \d+ more$/.test(line)))
  const wide = linesOf(frame, { columns: 200, lively: false })
  t.match(wide[2], /^PORT +CONTAINER +CONN NEW\/s IN\/s OUT\/s PACKETS\/s REFUSED DROPPED$/)
  t.match(wide[3], /^\[::1\]:8080-8081\/tcp a-container-with-a-very-long-na… +2 +10 +10k +20M +0 +0 +0$/)
  t.equal(wide.length, 2 + 3 + 1 + 101)
})

t.test('numbers have as many digits as one reads', async t => {
  for (const [number, text] of [
    [0, '0'],
    [999.4, '999'],
    [1_000, '1.0k'],
    [12_345, '12k'],
    [999_999, '1000k'],
    [2.5e9, '2.5G'],
  ] as const)
    t.equal(short(number), text)
})

t.test('events are lines for people, without what names of others would do to a terminal', async t => {
  const time = '2026-11-29T17:00:00.000Z'
  const containers = [{ id: '1', name: 'we\u001b[2Jb' }]
  for (const [event, about, line] of [
    [
      'attach',
      { containers, network: 'front', ifname: 'eth0', addresses: ['10.1.0.2'], ports: [] },
      'attach     we\\u{1b}[2Jb (front eth0) 10.1.0.2',
    ],
    ['detach', { containers, network: 'front', ifname: 'eth0' }, 'detach     we\\u{1b}[2Jb (front eth0)'],
    [
      'moved',
      { containers, ports: ['80/tcp'], from: [{ id: '2', name: 'old' }] },
      'moved      80/tcp → we\\u{1b}[2Jb from old',
    ],
    [
      'refused',
      { ports: ['80/tcp'], number: 3, why: 'limit reached' },
      'refused    80/tcp 3 times (limit reached)',
    ],
    [
      'reconciled',
      { subject: 'rules', what: ['one', 'two'], number: 12, outcome: 'restored' },
      'reconciled rules: one, and 11 more: put back',
    ],
    [
      'reconciled',
      { subject: 'rules', what: ['one'], number: 1, outcome: 'kept', why: 'no' },
      'reconciled rules: one: no',
    ],
    ['hand-over', { pid: 7 }, 'hand-over  the daemon of process 7 serves from now on'],
    ['lost', { count: 9 }, 'lost       9 events, as they were read too slowly'],
  ] as const)
    t.equal(lineOf({ event, about: { time, ...about } as never }), `${time} ${line}`)
})

/** The block of a section that shows what is printed: its lines from the first that begins so. */
function exampleOf(command: string, begin: string): string[] {
  const [, section = ''] = readFileSync('docs/cli-reference.md', 'utf8').split(`\n## tsnet ${command}\n`)
  const [whole = ''] = section.split('\n## ')
  const [block = ''] = [...whole.matchAll(/^(?: {4}.*\n|\n)+/gm)]
    .map(([each]) => each)
    .filter(each => each.trim().startsWith(begin))
  return block
    .trim()
    .split('\n')
    .map(line => line.replace(/^ {4}/, ''))
}

t.test('the reference shows events as they are printed', async t => {
  const web = [{ id: '1', name: 'web' }]
  const api = [{ id: '2', name: 'api' }]
  const shown = exampleOf('events', '20').map(line => line.split(' ', 1)[0])
  const happened = [
    [
      'attach',
      {
        containers: web,
        network: 'front',
        ifname: 'eth0',
        addresses: ['10.10.0.2', 'fd10::2'],
        ports: ['9000/tcp'],
      },
    ],
    ['publish', { containers: web, ports: ['8080/tcp'] }],
    ['moved', { containers: api, ports: ['8080/tcp'], from: web }],
    ['refused', { containers: api, ports: ['8080/tcp'], number: 3, why: 'source not allowed' }],
    ['reconciled', { subject: 'bridge br-front', what: ['it is down'], number: 1, outcome: 'restored' }],
  ] as const
  t.same(
    exampleOf('events', '20'),
    happened.map(([event, about], i) => lineOf({ event, about: { time: shown[i], ...about } as never })),
  )
})

t.test('the reference shows a frame as it is printed', async t => {
  const frame = (at: number, times: number): CountersReport => {
    const port = (id: string, hostPort: number, name: string, more: object) => ({
      ...{ id, source: 'publish' as const, protocol: 'tcp' as const, hostPort, count: 1 },
      containers: [{ id, name }],
      ...counts,
      ...more,
    })
    const container = (owner: string, name: string, more: object) => ({
      ...{ owner, id: owner, name, network: 'front', ifname: 'eth0', addresses: [] },
      ...traffic,
      ...more,
    })
    return {
      ...report(at, 0),
      ports: [
        port('a', 8080, 'web', {
          active: 2,
          refused: 3,
          connections: 22 * times,
          bytesIn: 820 * times,
          bytesOut: 2_400_000 * times,
        }),
        port('b', 8081, 'api', {}),
      ],
      containers: [
        container('c', 'web', {
          bytesIn: 1_024 * times,
          bytesOut: 2_600_000 * times,
          packetsIn: 1_880 * times,
        }),
        container('d', 'api', {}),
      ],
    }
  }
  const at = Date.parse('2026-11-29T17:24:09Z')
  const lines = linesOf(frameOf(frame(at, 2), frame(at - 2_000, 1)), { columns: 80, lively: false })
  t.same(exampleOf('top', 'tsnet top 17'), lines)
})

t.test('a screen is given back as it was, however it is left', async t => {
  for (const key of ['q', '\u0003', undefined]) {
    let written = ''
    let isRaw = false
    const stdin = Object.assign(new EventEmitter(), {
      isTTY: true,
      setRawMode: (raw: boolean) => {
        isRaw = raw
      },
      pause() {},
    })
    const stdout = Object.assign(new EventEmitter(), {
      isTTY: true,
      columns: 20,
      rows: 0,
      write: (text: string) => {
        written += text
      },
    })
    const screen = openScreen({ stdin, stdout, env: {} } as never)
    if (screen === undefined) throw new Error('no screen')
    t.ok(isRaw)
    t.strictSame([screen.columns, screen.rows], [20, 24])
    screen.show(['a', 'b'])
    t.ok(written.endsWith('\u001b[Ha\u001b[K\r\nb\u001b[K\u001b[J'))
    if (key === undefined) stdin.emit('end')
    else stdin.emit('data', Buffer.from(key))
    await screen.left
    screen.close()
    screen.close()
    t.notOk(isRaw)
    t.ok(written.endsWith('\u001b[?25h\u001b[?1049l'))
    const length = written.length
    screen.show(['late'])
    t.equal(written.length, length)
  }
  t.equal(openScreen({ stdin: {}, stdout: { isTTY: false }, env: {} } as never), undefined)
  t.equal(openScreen({ stdin: {}, stdout: { isTTY: true }, env: { TERM: 'dumb' } } as never), undefined)
})
