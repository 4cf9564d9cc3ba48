/** Steps on a terminal and in a pipe. */

import t from 'tap'
import { paint, step, type Terminal, terminalOf } from '../../src/cli/terminal.ts'
import { waitFor } from '../../src/lab/wait.ts'

function recorder(lively: boolean): { terminal: Terminal; text: () => string } {
  let text = ''
  const out = (more: string) => {
    text += more
  }
  return { terminal: { out, error: out, lively, livelyErrors: lively }, text: () => text }
}

const plain = (text: string) => text.replace(/\d+ ms/g, 'N ms')

t.test('a step is told when it is done, with the time it took', async t => {
  const { terminal, text } = recorder(false)
  t.equal(await step(terminal, 'adding', async () => 7), 7)
  t.equal(plain(text()), '✓ adding (N ms)\n')
})

t.test('on a terminal it is told at once, in colour, and written over', async t => {
  const { terminal, text } = recorder(true)
  await step(terminal, 'adding', () => t.equal(text(), '  adding …'))
  t.equal(plain(text()), '  adding …\r\u001b[K\u001b[32m✓\u001b[0m adding \u001b[2m(N ms)\u001b[0m\n')
})

t.test('in a pipe a step that takes longer than a second is told meanwhile', async t => {
  const { terminal, text } = recorder(false)
  const work = () => waitFor(() => text() !== '', { what: 'a sign of life' })
  await step(terminal, 'adding', work, 1)
  t.equal(plain(text()), '  adding …\n✓ adding (N ms)\n')
})

t.test('a step that fails is marked, and its error goes on', async t => {
  const { terminal, text } = recorder(false)
  const failing = step(terminal, 'adding', () => {
    throw new Error('no')
  })
  await t.rejects(failing, { message: 'no' })
  t.equal(text(), '✗ adding\n')
})

t.test('colours are for terminals that want them', async t => {
  const at = (isTTY: boolean, env: Record<string, string>) =>
    terminalOf({ stdout: { isTTY }, stderr: {}, env } as never).lively
  t.equal(at(true, {}), true)
  t.equal(at(false, {}), false)
  t.equal(at(true, { NO_COLOR: '1' }), false)
  t.equal(at(true, { TERM: 'dumb' }), false)
  t.equal(paint(false, 'red', 'x'), 'x')
})

t.test('what goes to stderr is coloured where stderr is a terminal, wherever stdout leads', async t => {
  for (const isTTY of [true, false]) {
    const streams = { stdout: { isTTY: !isTTY }, stderr: { isTTY }, env: {} }
    t.match(terminalOf(streams as never), { lively: !isTTY, livelyErrors: isTTY })
  }
})
