import t from 'tap'
import { MalformedError } from '../../src/netlink/codecs.ts'
import * as k from '../../src/netlink/constants.ts'
import { eachMessage, encodeMessage, type Message, readVerdict } from '../../src/netlink/message.ts'
import { captured } from '../support/captures.ts'
import { ack, done, refusal } from '../support/scripted-kernel.ts'

const message: Message = {
  type: 18,
  flags: 0x305,
  sequence: 7,
  port: 0,
  payload: Uint8Array.of(1, 2, 3, 4, 5),
}
const first = (bytes: Uint8Array): Message => [...eachMessage(bytes)][0] ?? message

t.test('a message is its header and its payload', async t => {
  t.equal(
    Buffer.from(encodeMessage(message)).toString('hex'),
    '15000000' + '1200' + '0503' + '07000000' + '00000000' + '0102030405',
  )
  t.strictSame([...eachMessage(encodeMessage(message))], [message])
})

t.test('a datagram holds several messages, each beginning at a multiple of four', async t => {
  const bytes = Buffer.concat([encodeMessage(message), new Uint8Array(3), encodeMessage(message)])
  t.equal([...eachMessage(bytes)].length, 2)
  t.strictSame([...eachMessage(new Uint8Array(0))], [])
})

t.test('a message that does not fit is malformed', async t => {
  const bytes = encodeMessage(message)
  t.throws(() => [...eachMessage(bytes.subarray(0, 15))], MalformedError)
  t.throws(() => [...eachMessage(bytes.subarray(0, 20))], MalformedError)
  bytes[0] = 15
  t.throws(() => [...eachMessage(bytes)], MalformedError, 'shorter than its header')
})

t.test("the kernel's own words are read from a real refusal", async t => {
  t.strictSame(readVerdict(captured('refusal')), { errno: 101, text: 'Nexthop has invalid gateway' })
})

t.test('a verdict is read with and without words, with the request quoted in full or in part', async t => {
  t.strictSame(readVerdict(first(ack(message))), { errno: 0 })
  t.strictSame(readVerdict(first(refusal(message, 'EEXIST'))), { errno: 17 })
  t.strictSame(readVerdict(first(refusal(message, 'EEXIST', 'taken'))), { errno: 17, text: 'taken' })
  const aligned = { ...message, payload: new Uint8Array(8) }
  t.strictSame(readVerdict(first(refusal(aligned, 'EBUSY', 'held', false))), { errno: 16, text: 'held' })
})

t.test('the end of a dump can be an error, and can be without a word', async t => {
  t.strictSame(readVerdict(first(done(message))), { errno: 0 })
  t.strictSame(readVerdict(first(done(message, 'EINVAL', 'no'))), { errno: 22, text: 'no' })
  t.strictSame(readVerdict({ ...message, type: k.NLMSG_DONE, payload: new Uint8Array(0) }), { errno: 0 })
  t.throws(() => readVerdict({ ...message, type: k.NLMSG_ERROR, payload: new Uint8Array(3) }), MalformedError)
})
