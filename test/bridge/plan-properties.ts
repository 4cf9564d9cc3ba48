/** Whatever comes from outside, a plan is refused by name or safe to carry out. */

import fc from 'fast-check'
import t from 'tap'
import { describePlan } from '../../src/bridge/describe.ts'
import { type LinkRequest, planLink } from '../../src/bridge/plan/plan.ts'
import {
  bitsOf,
  type Cidr,
  cidrOf,
  contains,
  type Family,
  familyOf,
  type Ip,
  ipAt,
  ipOf,
} from '../../src/model/address/address.ts'
import { hasCode } from '../../src/model/errors.ts'
import type { Lease, Route } from '../../src/model/network.ts'
import { present } from '../../src/model/present.ts'
import { fixedMacs, linkRequest } from '../support/link-plan.ts'

/** Mostly good, so that most requests come to a plan. */
const mostly = <T>(good: fc.Arbitrary<T>, bad: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 15, arbitrary: good }, { weight: 1, arbitrary: bad })
const name = mostly(
  fc.stringMatching(/^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,9}$/),
  fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('lo', 'all', '-h', '$(id)', 'a\nb', 'x%d', '..')),
)
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const any = fc.oneof(fc.integer({ min: -10, max: 70000 }), fc.double())
const mtu = mostly(fc.integer({ min: 1280, max: 65535 }), any)
const vlan = mostly(fc.integer({ min: 1, max: 4094 }), any)
const ipOfFamily = (family: Family): fc.Arbitrary<Ip> => {
  const all = fc.bigInt({ min: 0n, max: 2n ** BigInt(bitsOf(family)) - 1n })
  const few = fc.bigInt({ min: 0x0a010000n, max: 0x0a0100ffn })
  return (family === 4 ? fc.oneof(all, few) : all).map(value => ipAt(value, family))
}
const cidrOfFamily = (family: Family): fc.Arbitrary<Cidr> =>
  fc.tuple(ipOfFamily(family), fc.nat(bitsOf(family))).map(([address, length]) => cidrOf(address, length))
/** A destination or an address, and a gateway mostly of the same family. */
const way = fc.constantFrom<Family>(4, 6).chain(family =>
  fc.record({
    cidr: cidrOfFamily(family),
    gw: optional(mostly(ipOfFamily(family), ipOfFamily(family === 4 ? 6 : 4))),
  }),
)
const leases = fc.array(
  way.map(({ cidr, gw }) => present({ address: cidr, gateway: gw })),
  { maxLength: 2 },
)
const routes = fc.array(
  fc
    .record({
      way,
      scope: mostly(fc.constant(undefined), fc.constantFrom(0, 253)),
      table: optional(fc.nat()),
    })
    .map(({ way: { cidr, gw }, scope, table }) => present({ dst: cidr, gw, scope, table })),
  { maxLength: 3 },
)
const options = fc
  .record({
    name,
    mtu: optional(mtu),
    vlan: optional(vlan),
    vlanTrunk: fc.array(fc.record({ minID: vlan, maxID: vlan }), { maxLength: 2 }),
    isGateway: fc.boolean(),
    isDefaultGateway: fc.boolean(),
    forceAddress: fc.boolean(),
    hairpinMode: fc.boolean(),
    promiscMode: fc.boolean(),
    portIsolation: fc.boolean(),
    enabledad: fc.boolean(),
    disableContainerInterface: fc.boolean(),
    preserveDefaultVlan: fc.boolean(),
  })
  .map(present)
const request: fc.Arbitrary<LinkRequest> = fc
  .tuple(
    options,
    name,
    optional(mostly(fc.constant('02:00:00:00:00:09'), fc.string())),
    leases,
    routes,
    fc.boolean(),
    optional(fc.integer({ min: 68, max: 65536 })),
  )
  .map(([given, ifname, mac, held, ways, hasPorts, uplinkMtu]) => ({
    ...linkRequest(given as object, {
      ifname,
      routes: ways as Route[],
      hasPorts,
      ...(mac !== undefined && { mac }),
    }),
    uplinkMtu,
    leases: held as Lease[],
  }))

t.test('a request is refused by name, or its plan consists of checked words only', async t => {
  let planned = 0
  fc.assert(
    fc.property(request, given => {
      let lines: string[]
      try {
        const plan = planLink(given, fixedMacs)
        planned++
        lines = describePlan(plan)
        for (const { address, gateway } of plan.leases) {
          if (plan.bridge.gateways.length > 0) {
            const held = plan.bridge.gateways.some(each => ipOf(each) === gateway)
            if (!held) throw new Error(`the bridge lacks gateway ${gateway}`)
          }
          if (gateway === ipOf(address) && plan.bridge.gateways.length > 0)
            throw new Error('gateway of itself')
        }
        for (const { gw, onlink, dst } of plan.container.routes) {
          const own = plan.container.addresses.filter(address => familyOf(address) === familyOf(dst))
          if (own.length === 0) throw new Error(`a route without an address: ${dst}`)
          if (gw !== undefined && !onlink && !gw.startsWith('fe') && !own.some(each => contains(each, gw))) {
            throw new Error(`gateway ${gw} cannot be reached`)
          }
        }
      } catch (thrown) {
        return hasCode(thrown, 'invalid-config')
      }
      return lines.every(line => /^[\w:./ =+-]+$/.test(line))
    }),
    { numRuns: 1000 },
  )
  t.ok(planned > 100, `${planned} of 1000 requests made sense`)
})
