/** A packet that is written to the wire by hand is one that receivers take: its sums are right. */

import t from 'tap'
import { packetOf } from '../../src/doctor/trace/tun.ts'
import { parseIp } from '../../src/model/address/address.ts'

const sumOf = (bytes: readonly number[]): number => {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return sum
}

for (const [family, from, to, header] of [
  [4, '192.0.2.7', '10.1.0.2', 20],
  [6, '2001:db8::7', 'fd00::2', 40],
] as const) {
  for (const protocol of ['tcp', 'udp'] as const) {
    t.test(`IPv${family}, ${protocol}: both sums come to all ones`, async t => {
      const packet = [
        ...packetOf(protocol, { ip: parseIp(from), port: 50_000 }, { ip: parseIp(to), port: 8080 }),
      ]
      const transport = packet.slice(header)
      const [at, size] = family === 4 ? [12, 4] : [8, 16]
      const pseudo = [...packet.slice(at, at + 2 * size), 0, protocol === 'tcp' ? 6 : 17, 0, transport.length]
      t.equal(sumOf([...pseudo, ...transport]), 0xffff, 'of the transport')
      if (family === 4) t.equal(sumOf(packet.slice(0, header)), 0xffff, 'of the header')
      t.strictSame(transport.slice(0, 4), [50_000 >> 8, 50_000 & 0xff, 8080 >> 8, 8080 & 0xff], 'ports')
      t.equal(packet.length, header + (protocol === 'tcp' ? 20 : 8))
    })
  }
}
