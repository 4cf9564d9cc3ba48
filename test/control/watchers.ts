/** Those who watch cost whoever tells neither memory nor time, however slow they are and however many. */

import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { UNREAD_MAX, WATCHERS_MAX, Watchers } from '../../src/control/watchers.ts'
import { waitFor } from '../../src/lab/wait.ts'

interface Line {
  event: string
  about: { count?: number; number?: number; text?: string }
}

/** Peers that are connected, each with its end of ours. */
async function open(t: Test, count: number) {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-watchers-'))
  const ours: Socket[] = []
  const server = createServer(socket => ours.push(socket))
  await new Promise<void>(resolve => server.listen(join(folder, 's'), resolve))
  const theirs: Socket[] = []
  for (let i = 0; i < count; i++) {
    const socket = connect(join(folder, 's'))
    await waitFor(() => ours.length === i + 1, { what: 'a connection' })
    theirs.push(socket)
  }
  t.teardown(() => {
    for (const socket of [...ours, ...theirs]) socket.destroy()
    server.close()
    rmSync(folder, { recursive: true })
  })
  return { ours, theirs }
}

/** All lines that a peer has read. */
function linesOf(socket: Socket): Line[] {
  const lines: Line[] = []
  let rest = ''
  socket.on('data', chunk => {
    const parts = `${rest}${chunk}`.split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts.map(line => JSON.parse(line) as Line))
  })
  return lines
}

const text = 'x'.repeat(1_000)

t.test('one that never reads has so much waiting and no more, and hears how much it has missed', async t => {
  const { ours, theirs } = await open(t, 2)
  const [deaf, quick] = theirs as [Socket, Socket]
  deaf.pause()
  const heard = linesOf(quick)
  const watchers = new Watchers()
  for (const socket of ours) watchers.add(socket)
  const told = 5_000
  for (let number = 0; number < told; number++) {
    watchers.tell({ event: 'publish', about: { number, text } })
    if (number % 50 === 49) {
      watchers.flush()
      await waitFor(() => heard.length >= number + 1, { what: 'the quick one to hear' })
    }
  }
  t.strictSame(
    heard.map(({ about }) => about.number),
    Array.from({ length: told }, (_, i) => i),
    'who reads misses nothing',
  )
  const waiting = ours[0]?.writableLength ?? 0
  t.ok(waiting > 0 && waiting <= 3 * UNREAD_MAX, `${waiting} bytes wait`)
  const late = linesOf(deaf)
  deaf.resume()
  await waitFor(() => late.some(({ event }) => event === 'lost'), { what: 'what was lost to be told' })
  const lost = late.find(({ event }) => event === 'lost')?.about.count ?? 0
  t.equal(late.filter(({ event }) => event === 'publish').length + lost, told, `${lost} lost`)
  watchers.tell({ event: 'publish', about: { number: told } })
  await waitFor(() => late.at(-1)?.about.number === told, { what: 'it to hear on' })
})

t.test('what is told within a moment is bounded as well', async t => {
  const { ours, theirs } = await open(t, 1)
  const heard = linesOf(theirs[0] as Socket)
  const watchers = new Watchers()
  watchers.add(ours[0] as Socket)
  const told = 1_000
  for (let number = 0; number < told; number++) watchers.tell({ event: 'publish', about: { number, text } })
  await waitFor(() => heard.at(-1)?.event === 'lost', { what: 'the rest to be lost' })
  t.equal(heard.length - 1 + (heard.at(-1)?.about.count ?? 0), told)
})

t.test('there may be two hundred, one may leave in the middle, and too many are refused', async t => {
  const { ours, theirs } = await open(t, 200)
  const counts: number[] = []
  const watchers = new Watchers(count => counts.push(count))
  const heard = theirs.slice(0, -1).map(linesOf)
  for (const socket of ours) watchers.add(socket)
  t.equal(counts.at(-1), 200)
  watchers.tell({ event: 'attach', about: {} })
  ours.at(-1)?.destroy()
  watchers.flush()
  watchers.remove(ours.at(-1) as Socket)
  t.equal(counts.at(-1), 199)
  await waitFor(() => heard.every(lines => lines.length === 1), { what: 'all to hear' })
  const more = await open(t, WATCHERS_MAX - 199 + 1)
  for (const socket of more.ours.slice(1)) watchers.add(socket)
  t.throws(() => watchers.add(more.ours[0] as Socket), { code: 'try-again' })
})
