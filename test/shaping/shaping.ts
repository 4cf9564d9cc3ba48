import t from 'tap'
import { Undo, withUndo } from '../../src/model/undo.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { shape } from '../../src/shaping/shaping.ts'
import { captured } from '../support/captures.ts'
import { ack, object, refusal, ScriptedKernel, type Turn } from '../support/scripted-kernel.ts'

const target = {
  hostInterface: 'v0',
  mtu: 1500,
  bandwidth: { ingressRate: 8000, ingressBurst: 80_000, egressRate: 8000, egressBurst: 80_000 },
  ifb: 'bwp0123456789ab',
}
const yes: Turn = request => [ack(request)]
const link: Turn = request => [object(request, captured('link-bridge-port').payload), ack(request)]
const absent: Turn = request => [refusal(request, 'ENODEV')]

/** A kernel that agrees up to some step, and what was asked of it. */
function script(...turns: Turn[]) {
  const commands: string[] = []
  return { nl: new Netlink(new ScriptedKernel(...turns), command => commands.push(command)), commands }
}

t.test('the redirect comes last, when everything behind it is ready', async t => {
  const { nl, commands } = script(link, yes, absent, yes, link, yes, yes, yes, yes)
  shape(nl, { ...target, group: 42 }, new Undo())
  t.match(commands, [
    /^tc qdisc add dev v0 root handle 1: tbf rate 8000bit burst 10000 limit 10025$/,
    /^ip link add name bwp0123456789ab mtu 1500 group 42 type ifb$/,
    /^tc qdisc add dev .* root handle 1: tbf/,
    /^ip link set dev .* up$/,
    /^tc qdisc add dev v0 ingress$/,
    /^tc filter add dev v0 .* mirred egress redirect/,
  ])
})

t.test('a kernel that lacks a part is told apart from all else that can fail', async t => {
  const until = (turns: Turn[], code: 'ENOENT' | 'EOPNOTSUPP' | 'EPERM') => {
    const refused: Turn = request => [refusal(request, code, 'not here')]
    const { nl } = script(...turns, refused)
    return () => shape(nl, target, new Undo())
  }
  const missing = (part: string) => ({
    name: 'TsnetError',
    code: 'missing',
    message: new RegExp(`has no ${part}`),
  })
  t.throws(until([link], 'ENOENT'), missing('sch_tbf'))
  t.throws(until([link, yes, absent], 'EOPNOTSUPP'), missing('ifb'))
  t.throws(until([link, yes, absent, yes, link, yes, yes], 'ENOENT'), missing('sch_ingress'))
  t.throws(until([link, yes, absent, yes, link, yes, yes, yes], 'ENOENT'), missing('cls_u32 or act_mirred'))
  t.throws(until([link], 'EPERM'), { name: 'NetlinkError', code: 'EPERM' })
})

t.test('whatever fails, what was done before is taken back, newest first', async t => {
  const refused: Turn = request => [refusal(request, 'EPERM')]
  const { nl, commands } = script(link, yes, absent, yes, link, yes, yes, refused, absent, yes)
  await t.rejects(
    withUndo(async undo => shape(nl, target, undo)),
    { code: 'EPERM' },
  )
  t.match(commands.slice(-2), [/^tc qdisc add dev v0 ingress$/, /^tc qdisc delete dev v0 root$/])
})
