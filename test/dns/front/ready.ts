import t from 'tap'
import { LONGEST_KEPT, Ready } from '../../../src/dns/front/ready.ts'

const answerOf = (n: number): Uint8Array => Uint8Array.of(n & 0xff, n >> 8)
const key = (n: number): string => `question ${n}`

t.test('an answer is there until all are ended', async t => {
  const ready = new Ready()
  ready.set(key(1), answerOf(1))
  t.strictSame(ready.get(key(1)), answerOf(1))
  t.equal(ready.get(key(2)), undefined)
  ready.clear()
  t.equal(ready.get(key(1)), undefined)
})

t.test('what is asked again stays, however many others are asked, and of those few are kept', async t => {
  const ready = new Ready()
  ready.set('often', answerOf(0))
  const many = 100_000
  for (let n = 0; n < many; n++) {
    ready.set(key(n), answerOf(n))
    if (n % 1_000 === 0) t.strictSame(ready.get('often'), answerOf(0))
  }
  let kept = 0
  for (let n = 0; n < many; n++) if (ready.get(key(n)) !== undefined) kept++
  t.ok(kept > 0 && kept <= 4_096, `${kept}`)
})

t.test('a long answer is not kept', async t => {
  const ready = new Ready()
  ready.set('long', new Uint8Array(LONGEST_KEPT + 1))
  ready.set('short', new Uint8Array(LONGEST_KEPT))
  t.equal(ready.get('long'), undefined)
  t.equal(ready.get('short')?.length, LONGEST_KEPT)
})
