import t from 'tap'
import { parseIp } from '../../src/model/address.ts'
import {
  coversAddress,
  describeHostPorts,
  type PortMapping,
  portRange,
} from '../../src/model/port-mapping.ts'

const mapping: PortMapping = { protocol: 'tcp', hostPort: 8080, containerPort: 80, count: 1 }

t.test('one port is named by its number, several by the first and the last', async t => {
  t.equal(portRange(8080, 1), '8080')
  t.equal(portRange(8080, 2), '8080-8081')
  t.equal(portRange(65526, 10), '65526-65535')
})

t.test("a mapping's host side is named with its address where it has one", async t => {
  t.equal(describeHostPorts(mapping), '8080/tcp')
  t.equal(describeHostPorts({ ...mapping, protocol: 'udp', count: 10 }), '8080-8089/udp')
  t.equal(describeHostPorts({ ...mapping, hostIp: parseIp('127.0.0.1') }), '127.0.0.1:8080/tcp')
  t.equal(describeHostPorts({ ...mapping, hostIp: parseIp('::1'), protocol: 'sctp' }), '[::1]:8080/sctp')
})

t.test('no address stands for all, an unspecified one for its family, any other for itself', async t => {
  const [any4, any6, one4, one6] = ['0.0.0.0', '::', '10.0.0.1', 'fd00::1'].map(text => parseIp(text))
  for (const one of [undefined, any4, any6, one4, one6]) t.ok(coversAddress(undefined, one), `all and ${one}`)
  const covered = [any4, any6, one4, one6].map(all =>
    [undefined, any4, any6, one4, one6].filter(one => coversAddress(all, one)),
  )
  t.same(covered, [[any4, one4], [any6, one6], [one4], [one6]])
})
