/** Names that are taken, and kernels that cannot. */

import t from 'tap'
import { hostAlias, hostMac } from '../../src/bridge/names.ts'
import { planLink } from '../../src/bridge/plan/plan.ts'
import { bringUp, makeVeth } from '../../src/bridge/veth.ts'
import { fixedMacs, linkRequest, OWNER } from '../support/link-plan.ts'
import { refusal } from '../support/scripted-kernel.ts'
import { agrees, scriptedSide, shows } from '../support/scripted-side.ts'

const plan = planLink(linkRequest(), fixedMacs)
const bridge = { index: 2, name: 'cni0' }
type Request = Parameters<typeof refusal>[0]
const absent = (request: Request) => [refusal(request, 'ENODEV')]
const taken = (request: Request) => [refusal(request, 'EEXIST')]
/** EXFULL, for which Node has no name. */
const full = (request: Request) => {
  const answer = refusal(request, 'EEXIST')
  new DataView(answer.buffer).setInt32(16, -54, true)
  return [answer]
}
const veth = { linkInfo: { kind: 'veth' }, mac: hostMac(OWNER) }

t.test('when a name is taken, the kernel is asked whose it is', async t => {
  const ours = scriptedSide(taken, shows(5, { ...veth, alias: hostAlias(OWNER) }))
  t.throws(() => makeVeth(ours.side, plan, bridge, 20), {
    code: 'conflict',
    message: /^veth01234567 exists already: .* made before/,
  })
  const inContainer = scriptedSide(taken, absent)
  t.throws(() => makeVeth(inContainer.side, plan, bridge, 20), {
    code: 'conflict',
    message: /^interface eth0 exists already/,
  })
  const foreign = { linkInfo: { kind: 'ifb' } }
  const both = scriptedSide(taken, shows(5, foreign), taken, shows(6, foreign))
  t.throws(() => makeVeth(both.side, plan, bridge, 20), {
    code: 'conflict',
    message: /veth01234567 and veth89abcdef/,
  })
})

t.test('a kernel without veth links is named', async t => {
  const { side } = scriptedSide(request => [refusal(request, 'EOPNOTSUPP', 'Unknown device type')])
  t.throws(() => makeVeth(side, plan, bridge, 20), { code: 'missing', message: /CONFIG_VETH/ })
})

t.test('a bridge with all the ports it can have is named', async t => {
  // What the kernel made is gone by then.
  const { side } = scriptedSide(full, absent)
  t.throws(() => makeVeth(side, plan, bridge, 20), {
    code: 'exhausted',
    message: /^bridge cni0 has as many ports/,
  })
  t.same(await side.undo.rollback(), [])
})

t.test('the pair is a port when it is made, and up with all its settings in the next request', async t => {
  const made = shows(5, { ...veth, name: 'veth01234567' })
  const isolated = planLink(linkRequest({ portIsolation: true }), fixedMacs)
  const inVlan = planLink(linkRequest({ portIsolation: true, vlan: 5 }), fixedMacs)
  for (const [each, requests] of [
    [isolated, [/^ip link add .* master if2 /, /^ip link set dev veth01234567 up alias .* isolated on/]],
    [
      inVlan,
      [
        /^ip link add .* master if2 /,
        /^ip link set dev veth01234567 alias .* isolated on/,
        /^bridge vlan del/,
        /^bridge vlan add/,
        /^ip link set dev veth01234567 up$/,
      ],
    ],
  ] as const) {
    const { side, commands } = scriptedSide(agrees, made, ...Array.from({ length: 9 }, () => agrees))
    bringUp(side, each, bridge, makeVeth(side, each, bridge, 20))
    const said = commands.filter(command => !command.startsWith('sysctl'))
    t.match(said, requests)
    t.equal(said.at(-1)?.includes('up'), true, 'not before')
  }
})

t.test(
  'a link whose making was never confirmed is taken back if it is there, and only if it is ours',
  async t => {
    for (const [mac, deleted] of [
      [hostMac(OWNER), true],
      ['02:00:00:00:00:01', false],
    ] as const) {
      const lost = (request: Request) => [refusal(request, 'ENOBUFS')]
      const { side, commands } = scriptedSide(lost, shows(5, { ...veth, mac, name: 'veth01234567' }), agrees)
      t.throws(() => makeVeth(side, plan, bridge, 20), { code: 'ENOBUFS' })
      t.same(await side.undo.rollback(), [])
      t.equal(commands.includes('ip link delete dev veth01234567'), deleted)
    }
  },
)
