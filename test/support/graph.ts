/** A host as facts, for graphs: two networks, a container on both, one of another runtime, and clients. */

import type { ConnectionFacts, Facts } from '../../src/graph/model.ts'
import type { Cidr, Ip } from '../../src/model/address/address.ts'

export const ip = (text: string): Ip => text as Ip
const cidrs = (...texts: string[]): Cidr[] => texts as Cidr[]

/** A TCP connection. @param answers who has it in the end, where rules have led it */
export const connection = (
  from: string,
  [asked, port]: [string, number],
  [answers, answeringPort]: [string, number] = [asked, port],
  more: Partial<ConnectionFacts> = {},
): ConnectionFacts => ({
  protocol: 6,
  from: ip(from),
  asked: ip(asked),
  answers: ip(answers),
  port,
  answeringPort,
  ...more,
})

export const facts = (more: Partial<Facts> = {}): Facts => ({
  host: 'box',
  uplinks: [
    { name: 'eth0', addresses: cidrs('192.0.2.10/24', '2001:db8::10/64') },
    { name: 'vpn0', addresses: cidrs('10.200.0.1/24') },
  ],
  own: new Set(['192.0.2.10', '10.1.0.1', '10.2.0.1', '172.17.0.1', '10.200.0.1'].map(ip)),
  networks: [
    { name: 'front', bridge: 'br-front', subnets: cidrs('10.1.0.0/16') },
    { name: 'back', bridge: 'br-back', subnets: cidrs('10.2.0.0/16') },
    { name: 'docker0', bridge: 'docker0', subnets: cidrs('172.17.0.0/16') },
  ],
  attached: [
    attachment('web', 'front', '10.1.0.2/16'),
    attachment('web', 'back', '10.2.0.2/16', 'eth1'),
    attachment('db', 'back', '10.2.0.3/16'),
    { ...attachment('old', 'gone', '10.9.0.2/16'), bridge: 'br-gone', state: 'dead' },
  ],
  ports: [
    {
      protocol: 'tcp',
      hostPort: 8080,
      count: 1,
      target: { port: 80 },
      state: 'serving',
      by: ['nftables', 'proxy'],
      containers: [{ name: 'web', id: 'elsewhere-known-as', addresses: cidrs('10.1.0.2/16') }],
      counters: { active: 2, bytesIn: 1000, bytesOut: 2_000_000 },
    },
    {
      protocol: 'tcp',
      hostIp: ip('192.0.2.10'),
      hostPort: 9000,
      count: 2,
      target: { port: 900 },
      state: 'silent',
      by: ['dockerd'],
      containers: [{ name: 'cache', id: 'c0ffee' }],
    },
  ],
  connections: [],
  ...more,
})

function attachment(
  name: string,
  network: string,
  address: string,
  ifname = 'eth0',
): Facts['attached'][number] {
  return { containerId: `id-${name}`, name, network, ifname, addresses: cidrs(address), state: 'attached' }
}

/** So many containers on one network, of which each asks the first. */
export function crowd(count: number): Facts {
  const address = (n: number) => `10.1.${n >> 8}.${n & 255}`
  return facts({
    attached: Array.from({ length: count }, (_, n) => attachment(`c${n}`, 'front', `${address(n + 2)}/16`)),
    ports: [],
    connections: Array.from({ length: count - 1 }, (_, n) => connection(address(n + 3), [address(2), 5432])),
  })
}

/** Names that would do something to a terminal, a document or a page. */
export const HOSTILE = [
  '\u001b[2J\u001b]0;owned\u0007',
  '</text><script>alert(1)</script>',
  '"><svg onload=alert(1)>',
  '\u202egpj.exe',
  'a\r\nb\tc\0d',
  '\ud800 lone',
  "'; DROP --&amp;",
  '漢字'.repeat(40),
  'x'.repeat(5000),
  '\u0007\u009b31m',
]
