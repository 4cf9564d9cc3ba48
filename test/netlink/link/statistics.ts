import t from 'tap'
import { MalformedError } from '../../../src/netlink/codecs.ts'
import * as k from '../../../src/netlink/constants.ts'
import { listStatistics, statisticsMessage } from '../../../src/netlink/link/statistics.ts'
import { Netlink } from '../../../src/netlink/netlink.ts'
import { done, part, ScriptedKernel } from '../../support/scripted-kernel.ts'

const counted = {
  receivedPackets: 1,
  sentPackets: 2,
  receivedBytes: 3 * 2 ** 32 + 4,
  sentBytes: 2 ** 32 - 1,
  receiveErrors: 5,
  sendErrors: 6,
  receiveDropped: 7,
  sendDropped: 8,
}

t.test('all links are asked for by one request, which filters for their statistics alone', async t => {
  const message = (index: number, links?: typeof counted) =>
    statisticsMessage.encode({ header: { index }, attributes: { links } })
  const kernel = new ScriptedKernel(request => [
    part(request, message(2, counted)),
    part(request, message(3)),
    done(request),
  ])
  t.strictSame(listStatistics(new Netlink(kernel)), new Map([[2, counted]]))
  const [request] = kernel.requests
  t.equal(request?.type, k.RTM_GETSTATS)
  t.strictSame([...(request?.payload ?? [])], [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
})

t.test('what a later kernel counts beside is passed over, and half of it is refused', async t => {
  const whole = statisticsMessage.encode({ header: { index: 2 }, attributes: { links: counted } })
  const withLength = (bytes: Uint8Array) => {
    new DataView(bytes.buffer).setUint16(12, bytes.length - 12, true)
    return bytes
  }
  const longer = withLength(Uint8Array.from([...whole, ...Array(136).fill(9)]))
  t.strictSame(statisticsMessage.decode(longer).attributes.links, counted)
  const shorter = withLength(whole.slice(0, -8))
  t.throws(() => statisticsMessage.decode(shorter), MalformedError)
})
