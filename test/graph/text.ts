/** A graph in the terminal: every edge once, in any width, whatever names are. */

import t from 'tap'
import { buildGraph, condense, printText } from '../../src/graph/graph.ts'
import { columnsOf } from '../../src/model/text/text.ts'
import { connection, crowd, facts, HOSTILE } from '../support/graph.ts'

const busy = facts({
  connections: [
    connection('198.51.100.7', ['192.0.2.10', 8080], ['10.1.0.2', 80], { bytes: 3 * 1024 * 1024 }),
    connection('10.2.0.2', ['10.2.0.3', 5432]),
    connection('10.2.0.2', ['10.2.0.3', 5432]),
    connection('10.1.0.2', ['8.8.8.8', 443]),
    connection('10.1.0.2', ['10.1.0.1', 53], undefined, { protocol: 17 }),
  ],
})

const tooLong = (text: string, columns: number): string[] =>
  text.split('\n').filter(line => columnsOf(line) > columns)

t.test('a host is a tree, in which each edge stands once', async t => {
  t.equal(
    printText(buildGraph(busy)),
    `box
├─ eth0  192.0.2.10/24  2001:db8::10/64
│  ├─ 198.51.100.7
│  │  └─ → 8080/tcp  1 connection, 3.0 MiB
│  └─ 8.8.8.8
├─ vpn0  10.200.0.1/24
├─ front  br-front  10.1.0.0/16
│  └─ web  10.1.0.2
│     ├─ ← 8080/tcp to 80  nftables+proxy  3 connections, 3.0 MiB
│     ├─ → db 5432/tcp  2 connections
│     ├─ → box 53/udp  1 connection
│     └─ → 8.8.8.8 443/tcp  1 connection
├─ back  br-back  10.2.0.0/16
│  ├─ web  10.2.0.2
│  └─ db  10.2.0.3
├─ docker0  docker0  172.17.0.0/16
├─ gone  br-gone
│  └─ old  10.9.0.2 (dead)
└─ cache
   └─ ← 192.0.2.10:9000-9001/tcp to 900  dockerd silent
`,
  )
})

t.test('it fits into any width, and a terminal of 20 columns is one', async t => {
  for (const columns of [1, 5, 20, 39, 40, 80]) {
    const lines = printText(buildGraph(busy), { columns }).trimEnd().split('\n')
    t.equal(lines.length, 20, 'no line is left out')
    if (columns >= 20) t.same(tooLong(lines.join('\n'), columns), [])
  }
  t.match(printText(buildGraph(busy), { columns: 20 }), /^│ ├← 8080\/tcp to 80…$/m)
})

t.test('what stands out is the names of places, cut where they are', async t => {
  const text = printText(buildGraph(busy), { columns: 8, emphasise: name => `*${name}*` })
  t.match(text, /^├\*front\* …$/m)
  t.match(text, /^├\*docker…\*$/m)
})

t.test('names of strangers do nothing to a terminal', async t => {
  for (const name of HOSTILE) {
    const [attachment] = busy.attached
    const text = printText(
      buildGraph(
        facts({
          attached: attachment ? [{ ...attachment, name, network: name, bridge: name }] : [],
          networks: [],
        }),
      ),
      { columns: 60 },
    )
    // Each character that a terminal, or a reader's eye, takes for something else.
    t.notMatch(text.replaceAll('\n', ''), /[\p{C}\p{Zl}\p{Zp}]/u, JSON.stringify(name.slice(0, 40)))
    t.equal(text.trimEnd().split('\n').length, 8, 'each on a line of its own')
    t.same(tooLong(text, 60), [])
  }
})

t.test('5 000 containers are some lines', async t => {
  const limits = { containers: 10, ports: 10, peers: 10 }
  const text = printText(condense(buildGraph(crowd(5000)), limits))
  t.ok(text.split('\n').length < 50)
  t.match(text, /4990 more containers\n/)
})
