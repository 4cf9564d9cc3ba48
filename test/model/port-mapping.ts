import t from 'tap'
import { parseIp } from '../../src/model/address/address.ts'
import {
  coversAddress,
  describeHostPorts,
  type PortMapping,
  portRange,
  portsMeet,
  portsOutside,
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

t.test('mappings meet where one packet could be for both', async t => {
  const range = { ...mapping, hostPort: 8000, count: 10 }
  const at = (text: string, hostPort = 8005): PortMapping => ({ ...mapping, hostPort, hostIp: parseIp(text) })
  t.ok(portsMeet(range, at('10.0.0.1')))
  t.ok(portsMeet(at('10.0.0.1'), at('0.0.0.0')))
  t.notOk(portsMeet(at('10.0.0.1'), at('10.0.0.2')))
  t.notOk(portsMeet(at('10.0.0.1'), at('::')))
  t.notOk(portsMeet(range, at('10.0.0.1', 8010)))
  t.notOk(portsMeet(range, { ...at('10.0.0.1'), protocol: 'udp' }))
})

t.test("what is left of a range keeps the distance to the container's ports", async t => {
  const range = { ...mapping, hostPort: 8000, containerPort: 100, count: 10 }
  const left = (...taken: [hostPort: number, count: number][]) =>
    portsOutside(
      range,
      taken.map(([hostPort, count]) => ({ hostPort, count })),
    ).map(({ hostPort, containerPort, count }) => [hostPort, containerPort, count])
  t.same(left(), [[8000, 100, 10]])
  t.same(left([8000, 10]), [])
  t.same(left([7990, 12]), [[8002, 102, 8]])
  t.same(left([8008, 9], [8002, 2], [8003, 2]), [
    [8000, 100, 2],
    [8005, 105, 3],
  ])
  t.same(left([7000, 10], [9000, 1]), [[8000, 100, 10]])
})
