/** Which connections lack what rules would have given them. */

import t from 'tap'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import { untranslated } from '../../src/nat/untranslated.ts'

const [TCP, UDP, ICMP] = [6, 17, 1]
const [ANSWERED, SOURCE_CHANGED, DESTINATION_CHANGED] = [2, 16, 32]
const HOST = '192.168.50.1'

const isWrong = untranslated(
  4,
  [
    {
      addresses: [parseCidr('10.1.0.2/16')],
      ipMasq: true,
      ports: [{ protocol: 'udp', hostPort: 53, containerPort: 53, count: 2 }],
    },
    {
      addresses: [parseCidr('10.2.0.2/16')],
      ipMasq: false,
      ports: [{ protocol: 'tcp', hostPort: 80, containerPort: 80, count: 1, hostIp: parseIp(HOST) }],
    },
  ],
  new Set([parseIp(HOST), parseIp('10.1.0.1')]),
)

/** As it is without any translation. */
const wrong = (protocol: number, source: string, destination: string, port = 9, status = 0): boolean =>
  isWrong({
    original: { source: parseIp(source), destination: parseIp(destination), destinationPort: port, protocol },
    reply: { source: parseIp(destination), destination: parseIp(source), protocol },
    status,
  })

t.test('what a container sends away under its own address lacks something', async t => {
  for (const protocol of [TCP, UDP, ICMP]) t.equal(wrong(protocol, '10.1.0.2', '1.1.1.1'), true)
  t.equal(wrong(UDP, '10.1.0.2', '1.1.1.1', 9, ANSWERED), true, 'of datagrams none is lost')
  t.equal(wrong(TCP, '10.1.0.2', '1.1.1.1', 9, ANSWERED), false, 'a connection that goes on would end')
  t.equal(wrong(UDP, '10.1.0.2', '1.1.1.1', 9, SOURCE_CHANGED), false)
  t.equal(wrong(UDP, '10.2.0.2', '1.1.1.1'), false, 'a network that is not masqueraded')
  t.equal(wrong(UDP, '10.3.0.2', '1.1.1.1'), false, 'somebody else')
  for (const near of ['10.1.7.7', '10.1.0.1', HOST, '224.0.0.251', '255.255.255.255'])
    t.equal(wrong(UDP, '10.1.0.2', near), false, near)
})

t.test('what stays with the host though its port is published lacks something', async t => {
  t.equal(wrong(UDP, '1.1.1.1', HOST, 53), true)
  t.equal(wrong(UDP, '1.1.1.1', HOST, 54), true)
  t.equal(wrong(UDP, '1.1.1.1', HOST, 55), false)
  t.equal(wrong(TCP, '1.1.1.1', HOST, 53), false, 'another protocol')
  t.equal(wrong(UDP, '1.1.1.1', HOST, 53, DESTINATION_CHANGED), false)
  t.equal(wrong(UDP, HOST, '1.1.1.1', 53), false, 'a question of its own to others')
  t.equal(wrong(TCP, '1.1.1.1', HOST, 80), true)
  t.equal(wrong(TCP, '1.1.1.1', HOST, 80, ANSWERED), false, 'somebody serves it')
  t.equal(wrong(TCP, '1.1.1.1', '10.1.0.1', 80), false, 'another address')
})
