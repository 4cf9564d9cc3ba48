import t from 'tap'
import { WholeLines } from '../../src/control/whole-lines.ts'

const passed = (pieces: string[], maxLength = 1_000) => {
  const lines = new WholeLines(maxLength)
  const heard: string[] = []
  lines.on('data', chunk => heard.push(String(chunk)))
  return new Promise<string[]>((resolve, reject) => {
    lines.on('end', () => resolve(heard)).on('error', reject)
    for (const piece of pieces) lines.write(piece)
    lines.end()
  })
}

t.test('a line passes once, however many pieces it comes in', async t => {
  const pieces = [...'{"a":1}\n{"b":2}\n{"c"']
  t.strictSame(await passed(pieces), ['{"a":1}\n', '{"b":2}\n', '{"c"'])
})

t.test('lines that come together pass together', async t => {
  t.strictSame(await passed(['a\nb\nc', 'd\n']), ['a\nb\n', 'cd\n'])
})

t.test('a line that is too long is an error, also before it ends', async t => {
  await t.rejects(passed(['abc', 'def'], 5), RangeError)
  t.strictSame(await passed(['abc\n', 'def\n'], 5), ['abc\n', 'def\n'])
})
