/** Plans printed as commands: the files in test/golden are what a reader looks at. */

import t from 'tap'
import { describePlan } from '../../src/bridge/describe.ts'
import { planLink } from '../../src/bridge/plan/plan.ts'
import { parseCidr } from '../../src/model/address/address.ts'
import { golden } from '../support/golden.ts'
import { fixedMacs, linkRequest } from '../support/link-plan.ts'

const dual = ['10.1.0.2/16 via 10.1.0.1', 'fd00:1::2/64 via fd00:1::1']

const pages: Record<string, Parameters<typeof linkRequest>> = {
  'layer-2': [{}, {}],
  'gateway-v4': [{ isDefaultGateway: true }, { leases: ['10.1.0.2/16'], uplinkMtu: 1420, hasPorts: true }],
  'gateway-dual-stack': [
    { isDefaultGateway: true, portIsolation: true },
    { leases: dual, uplinkMtu: 1500 },
  ],
  'onlink-routes': [
    { isDefaultGateway: true, enabledad: true },
    {
      leases: ['10.1.0.2/32 via 169.254.1.1', 'fd00:1::2/128 via fe80::1'],
      routes: [
        { dst: parseCidr('192.168.0.0/16'), table: 100, priority: 5, mtu: 1400, advmss: 1360, scope: 0 },
      ],
    },
  ],
  vlan: [
    {
      isGateway: true,
      vlan: 100,
      vlanTrunk: [
        { minID: 101, maxID: 101 },
        { minID: 200, maxID: 210 },
      ],
    },
    { leases: ['10.1.0.2/16'] },
  ],
  'promiscuous-down': [{ promiscMode: true, disableContainerInterface: true, mtu: 9000 }, {}],
}

t.test('a plan reads as the commands that would carry it out', async t => {
  for (const [name, request] of Object.entries(pages)) {
    const text = `${describePlan(planLink(linkRequest(...request), fixedMacs)).join('\n')}\n`
    t.equal(text, golden(`bridge-${name}.txt`, text), name)
  }
})
