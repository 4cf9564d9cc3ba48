/** What each backend feeds to the kernel, as pages to read: test/golden/nat/*.nft and *.ipt. */

import t from 'tap'
import type { Cidr, Ip } from '../../src/model/address/address.ts'
import type { NatIntent } from '../../src/model/network.ts'
import type { PortMapping } from '../../src/model/port-mapping.ts'
import { describeRules } from '../../src/nat/nat.ts'
import { golden } from '../support/golden.ts'

const v4 = ['10.1.0.2/24' as Cidr]
const both = [...v4, 'fd00:10:1::2/64' as Cidr]

const intent = (changes: Partial<NatIntent>): NatIntent => ({
  owner: '0123456789abcdef',
  bridge: 'tsnet0',
  addresses: v4,
  ipMasq: false,
  guardDirect: false,
  ports: [],
  ...changes,
})

const port = (protocol: PortMapping['protocol'], changes: Partial<PortMapping> = {}): PortMapping => ({
  protocol,
  hostPort: 8080,
  containerPort: 80,
  count: 1,
  ...changes,
})

const pages: Record<string, [what: string, intent: NatIntent]> = {
  'publish-8080-tcp': [
    'Port 8080 of every address of the host leads to port 80.',
    intent({ ports: [port('tcp')] }),
  ],
  'publish-range-udp': [
    'UDP ports 5000 to 5003 lead to 6000 to 6003, each to the one at the same distance.',
    intent({ ports: [port('udp', { hostPort: 5000, containerPort: 6000, count: 4 })] }),
  ],
  'publish-sctp': [
    'SCTP port 9899 leads to the same port of the container.',
    intent({ ports: [port('sctp', { hostPort: 9899, containerPort: 9899 })] }),
  ],
  'publish-one-address': [
    'Port 8080 of 192.0.2.1, and of no other address of the host, leads to port 80; of 127.0.0.1, to 81.',
    intent({
      ports: [
        port('tcp', { hostIp: '192.0.2.1' as Ip }),
        port('tcp', { hostIp: '127.0.0.1' as Ip, containerPort: 81 }),
      ],
    }),
  ],
  'publish-dual-stack': [
    'Port 8080 of every address of both families leads to port 80.',
    intent({ addresses: both, ports: [port('tcp')] }),
  ],
  'publish-beside-a-proxy': [
    'On two networks, and behind an isolated port: what comes from the bridge is left to the proxy.',
    intent({
      ports: [port('tcp'), port('udp', { hostIp: '192.0.2.1' as Ip })],
      otherAddresses: ['10.2.0.2' as Ip],
      bridgeServed: true,
    }),
  ],
  masquerade: [
    'What leaves the network does so under the address of the host; nothing is published.',
    intent({ ipMasq: true }),
  ],
  'leave-as': [
    'Both families leave the network under addresses of choice.',
    intent({ addresses: both, ipMasq: true, leaveAs: ['192.0.2.9' as Ip, '2001:db8::9' as Ip] }),
  ],
  guard: [
    'Nobody but the host and the bridge may address the container; it speaks under its own address, so answers pass.',
    intent({ guardDirect: true }),
  ],
  everything: [
    'Both families, masquerade, no direct routing, several ports.',
    intent({
      addresses: both,
      ipMasq: true,
      guardDirect: true,
      ports: [
        port('tcp'),
        port('tcp', { hostPort: 8443, containerPort: 8443, count: 3 }),
        port('udp', { hostPort: 53, containerPort: 5353, hostIp: '192.0.2.1' as Ip }),
        port('sctp', { hostPort: 9899, containerPort: 9899, hostIp: '2001:db8::1' as Ip }),
        port('tcp', { hostPort: 81, hostIp: '127.0.0.1' as Ip }),
      ],
    }),
  ],
}

for (const [name, [what, intent]] of Object.entries(pages)) {
  for (const [backend, ending] of [
    ['nftables', 'nft'],
    ['iptables', 'ipt'],
  ] as const) {
    t.test(`${name} with ${backend}`, async t => {
      const file = `nat/${name}.${ending}`
      const page = `# ${what}\n\n${describeRules(backend, intent)}`
      t.equal(page, golden(file, page))
    })
  }
}
