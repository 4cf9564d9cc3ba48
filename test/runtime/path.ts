import fc from 'fast-check'
import t from 'tap'
import { fitsPattern, withoutEndSlashes } from '../../src/runtime/path.ts'

t.test('slashes at the end go, and the root stays', async t => {
  for (const [path, without] of [
    ['/a/b//', '/a/b'],
    ['/a', '/a'],
    ['//', '/'],
    ['/', '/'],
    ['', ''],
  ] as const)
    t.equal(withoutEndSlashes(path), without)
})

t.test('a pattern fits as a regular expression of its parts does', async t => {
  const letter = fc.constantFrom('a', 'b', '.', '*', '?')
  const text = fc.array(letter, { maxLength: 8 }).map(letters => letters.join(''))
  const holds = fc.property(text, text, (name, pattern) => {
    const source = pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')
    return fitsPattern(name, pattern) === new RegExp(`^${source}$`).test(name)
  })
  t.doesNotThrow(() => fc.assert(holds, { numRuns: 3000 }))
})

t.test('neither takes a time that grows with the square of its text', async t => {
  const began = process.cpuUsage()
  withoutEndSlashes(`${'/'.repeat(1_000_000)}x`)
  fitsPattern('a'.repeat(255), `${'*a'.repeat(200)}b`)
  t.ok(process.cpuUsage(began).user < 1_000_000)
})
