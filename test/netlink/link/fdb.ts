import t from 'tap'
import { parseIp } from '../../../src/model/address/address.ts'
import * as k from '../../../src/netlink/constants.ts'
import {
  addFdbEntry,
  appendFdbEntry,
  deleteFdbEntry,
  listFdb,
  readFdbEntry,
  replaceFdbEntry,
} from '../../../src/netlink/link/fdb.ts'
import { neighbourMessage } from '../../../src/netlink/neighbour.ts'
import { Netlink } from '../../../src/netlink/netlink.ts'
import { asked } from '../../support/asked.ts'
import { captured } from '../../support/captures.ts'
import { done, part, ScriptedKernel } from '../../support/scripted-kernel.ts'

const link = { index: 7, name: 'vx0' }
const mac = '02:00:00:00:00:56'

t.test('an entry of a VXLAN is read as the kernel sent it', async t => {
  t.strictSame(readFdbEntry(captured('fdb-vxlan')), {
    mac,
    index: 5,
    remote: '10.1.0.99',
    kind: 'static',
    externallyLearned: false,
  })
})

t.test('an entry of a bridge is permanent, static or dynamic', async t => {
  const read = (state: number) =>
    readFdbEntry({
      payload: neighbourMessage.encode({
        header: { family: k.AF_BRIDGE, index: 7, state, flags: k.NTF_EXT_LEARNED },
        attributes: { mac, master: 2, vlan: 5 },
      }),
    })
  t.match(read(k.NUD_PERMANENT), { kind: 'permanent', masterIndex: 2, vlan: 5, externallyLearned: true })
  t.match(read(k.NUD_NOARP), { kind: 'static' })
  t.match(read(k.NUD_REACHABLE), { kind: 'dynamic' })
  t.equal(readFdbEntry({ payload: neighbourMessage.encode({ header: {}, attributes: {} }) }), undefined)
})

t.test('entries are listed by bridge and by port', async t => {
  const entry = (index: number, master: number) =>
    neighbourMessage.encode({ header: { family: k.AF_BRIDGE, index }, attributes: { mac, master } })
  const kernel = new ScriptedKernel(request => [
    part(request, entry(7, 2)),
    part(request, entry(8, 2)),
    part(request, entry(7, 3)),
    done(request),
  ])
  t.match(listFdb(new Netlink(kernel), { bridge: { index: 2 }, port: link }), { length: 1 })
  const [request] = kernel.requests
  t.match(neighbourMessage.decode(request?.payload ?? new Uint8Array()), {
    header: { family: k.AF_BRIDGE },
    attributes: { index: 7, master: 2 },
  })
})

t.test('an entry is told, appended, replaced and forgotten', async t => {
  const remote = parseIp('10.1.0.99')
  const added = asked(nl => addFdbEntry(nl, link, { mac, remote, self: true }))
  t.match(neighbourMessage.decode(added.payload), {
    header: { family: k.AF_BRIDGE, index: 7, state: k.NUD_NOARP | k.NUD_REACHABLE, flags: k.NTF_SELF },
    attributes: { destination: '10.1.0.99', mac },
  })
  t.equal(added.command, 'bridge fdb add 02:00:00:00:00:56 dev vx0 dst 10.1.0.99 self static')
  const appended = asked(nl => appendFdbEntry(nl, link, { mac, remote, self: true }))
  t.ok(appended.flags & k.NLM_F_APPEND)
  const replaced = asked(nl => replaceFdbEntry(nl, link, { mac, vlan: 5 }))
  t.equal(replaced.command, 'bridge fdb replace 02:00:00:00:00:56 dev vx0 vlan 5 master static')
  t.match(neighbourMessage.decode(replaced.payload).header, { flags: k.NTF_MASTER })
  const deleted = asked(nl => deleteFdbEntry(nl, link, { mac }))
  t.match(deleted, { type: k.RTM_DELNEIGH, command: 'bridge fdb delete 02:00:00:00:00:56 dev vx0 master' })
})
