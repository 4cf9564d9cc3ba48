import t from 'tap'
import { describe, overheard } from '../../src/netlink/describe.ts'
import { addBridge } from '../../src/netlink/link/add.ts'
import { changeLink } from '../../src/netlink/link/link.ts'
import { bridgeLinkMessage } from '../../src/netlink/link/tables.ts'
import { encodeMessage } from '../../src/netlink/message.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { captured, capturedBytes, captureNames } from '../support/captures.ts'
import { ack, object, refusal, ScriptedKernel } from '../support/scripted-kernel.ts'

t.test('a conversation can be read along', async t => {
  const kernel = new ScriptedKernel(
    request => [ack(request)],
    request => [object(request, captured('link-bridge').payload), ack(request)],
    request => [refusal(request, 'EBUSY', 'Device is busy')],
  )
  const heard: string[] = []
  const nl = new Netlink(overheard(kernel, text => heard.push(text)))
  addBridge(nl, { name: 'br0', up: true, bridge: { vlanFiltering: false } })
  t.equal(
    heard[0],
    [
      '> RTM_NEWLINK request ack excl create, sequence 1',
      '>   flags 1',
      '>   change 1',
      '>   name "br0"',
      '>   linkInfo',
      '>     kind "bridge"',
      '>     bridge',
      '>       vlanFiltering off',
    ].join('\n'),
  )
  t.equal(heard[1], '< verdict, sequence 1\n<   success')
  t.throws(() => changeLink(nl, { index: 2 }, { up: true }))
  t.equal(
    heard.at(-1),
    '< verdict, sequence 3\n<   Device or resource busy (EBUSY)\n<   text "Device is busy"',
  )
})

t.test('every kind of message has words', async t => {
  for (const name of captureNames) {
    const text = describe(capturedBytes(name))
    t.match(text, name === 'refusal' ? /^verdict/ : /^RTM_NEW/, name)
    t.notMatch(text, /malformed/, name)
  }
  t.match(describe(capturedBytes('route-default')), /^ {2}metrics\n {4}mtu 1300\n {4}advmss 1200$/m)
  t.match(describe(capturedBytes('address-ipv4')), /^ {2}label "br0:x"$/m)
})

t.test('a message of a bridge is read by the table of bridges', async t => {
  const payload = bridgeLinkMessage.encode({
    header: { family: 7, index: 3 },
    attributes: { spec: { vlans: [{ vid: 5, flags: 2 }] } },
  })
  const text = describe(encodeMessage({ type: 19, flags: 1, sequence: 1, port: 0, payload }))
  t.match(text, /^RTM_SETLINK request, sequence 1\n/)
  t.match(text, /vlans\n {6}flags 2\n {6}vid 5/)
})

t.test('what no table lists and what contradicts itself is shown as bytes', async t => {
  const message = (type: number, hex: string) =>
    describe(encodeMessage({ type, flags: 0, sequence: 1, port: 0, payload: Buffer.from(hex, 'hex') }))
  t.equal(message(99, 'aabb'), 'type 99, sequence 1\n  aa bb')
  t.match(message(20, `${'00'.repeat(8)}0600c800aabb`), /^ {2}attribute 200: aa bb$/m)
  t.match(
    message(20, `${'00'.repeat(8)}0900c800aabb`),
    /malformed, an attribute of 9 bytes does not fit: 09 00/,
  )
  t.match(message(20, '00'), /malformed/)
  t.match(describe(Uint8Array.of(1, 2, 3)), /^malformed, a message header is cut short: 01 02 03$/)
})
