/** Two that make the same bridge at once. */

import t from 'tap'
import { ensureBridge } from '../../src/bridge/ensure.ts'
import { planLink } from '../../src/bridge/plan/plan.ts'
import { fixedMacs, linkRequest } from '../support/link-plan.ts'
import { refusal } from '../support/scripted-kernel.ts'
import { agrees, lists, scriptedSide, shows } from '../support/scripted-side.ts'

// Settings would be written in the namespace of this process.
const plan = { ...planLink(linkRequest(), fixedMacs).bridge, settings: [], adoptedSettings: [] }
const absent = (request: Parameters<typeof refusal>[0]) => [refusal(request, 'ENODEV')]
const taken = (request: Parameters<typeof refusal>[0]) => [refusal(request, 'EEXIST')]

const IFF_UP = 1

t.test('who comes second takes the bridge of who came first', async t => {
  const made = { name: 'cni0', mac: '0e:74:6e:00:00:77', alias: 'tsnet', linkInfo: { kind: 'bridge' } }
  const { side, commands } = scriptedSide(absent, taken, shows(3, made, IFF_UP))
  t.match(ensureBridge(side, plan).bridge, { index: 3, mac: '0e:74:6e:00:00:77' })
  t.same(commands, ['ip link add name cni0 address 0e:74:6e:00:00:01 type bridge'])
  t.same(await side.undo.rollback(), [], 'and has nothing to take back')
})

t.test('what came first may be no bridge', async t => {
  const made = { name: 'cni0', linkInfo: { kind: 'vxlan' } }
  const { side } = scriptedSide(absent, taken, shows(3, made))
  t.throws(() => ensureBridge(side, plan), {
    code: 'conflict',
    message: /"cni0" exists already and is a vxlan link/,
  })
})

t.test('what came first may be gone again', async t => {
  const { side } = scriptedSide(absent, taken, absent)
  t.throws(() => ensureBridge(side, plan), { code: 'ENODEV' })
})

t.test('a bridge that is made is marked, up, and has its MAC from the start', async t => {
  const made = { name: 'cni0', mac: '0e:74:6e:00:00:01', linkInfo: { kind: 'bridge' } }
  const { side, commands } = scriptedSide(absent, agrees, shows(3, made), agrees)
  ensureBridge(side, { ...plan, mtu: 1400 })
  t.same(commands, [
    'ip link add name cni0 address 0e:74:6e:00:00:01 mtu 1400 type bridge',
    'ip link set dev cni0 up alias tsnet',
  ])
})

t.test(
  'a bridge whose making was never confirmed is taken back if it is there, and only if it is ours',
  async t => {
    for (const [mac, deleted] of [
      [plan.mac, true],
      ['0e:74:6e:00:00:02', false],
    ] as const) {
      const lost = (request: Parameters<typeof refusal>[0]) => [refusal(request, 'ENOBUFS')]
      const found = shows(3, { name: 'cni0', mac, linkInfo: { kind: 'bridge' } })
      const { side, commands } = scriptedSide(absent, lost, found, lists(), agrees)
      t.throws(() => ensureBridge(side, plan), { code: 'ENOBUFS' })
      t.same(await side.undo.rollback(), [])
      t.equal(commands.includes('ip link delete dev cni0'), deleted)
    }
  },
)
