import t from 'tap'
import { parseIp } from '../../src/model/address.ts'
import { describeHostPorts, type PortMapping, portRange } from '../../src/model/port-mapping.ts'

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
