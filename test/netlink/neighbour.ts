import t from 'tap'
import { parseIp } from '../../src/model/address/address.ts'
import * as k from '../../src/netlink/constants.ts'
import {
  addNeighbour,
  deleteNeighbour,
  listNeighbours,
  neighbourMessage,
  readNeighbour,
  replaceNeighbour,
} from '../../src/netlink/neighbour.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { asked } from '../support/asked.ts'
import { captured } from '../support/captures.ts'
import { done, part, ScriptedKernel } from '../support/scripted-kernel.ts'

const link = { index: 7, name: 'web' }
const mac = '02:00:00:00:00:09'

t.test('a neighbour is read as the kernel sent it', async t => {
  t.strictSame(readNeighbour(captured('neighbour')), {
    ip: '10.1.0.9',
    index: 2,
    mac,
    state: 'permanent',
    router: false,
    proxy: false,
  })
})

t.test('each state has its word, and a neighbour that nobody found has no address', async t => {
  const read = (state: number) =>
    readNeighbour({
      payload: neighbourMessage.encode({
        header: { family: k.AF_INET, state, flags: k.NTF_ROUTER },
        attributes: { destination: parseIp('10.0.0.1') },
      }),
    })
  const words = [1, 2, 4, 8, 16, 32, 64, 128, 0].map(state => read(state)?.state)
  t.strictSame(words, [
    'incomplete',
    'reachable',
    'stale',
    'delay',
    'probe',
    'failed',
    'noarp',
    'permanent',
    'none',
  ])
  t.match(read(1), { mac: undefined, router: true })
})

t.test('entries about other things than IP addresses are passed over', async t => {
  t.equal(readNeighbour(captured('fdb-vxlan')), undefined)
  const kernel = new ScriptedKernel(request => [
    part(request, captured('fdb-vxlan').payload),
    part(request, captured('neighbour').payload),
    done(request),
  ])
  t.equal(listNeighbours(new Netlink(kernel), { family: 4, link: { index: 2 } }).length, 1)
})

t.test('a neighbour is told, changed and forgotten', async t => {
  const added = asked(nl => addNeighbour(nl, link, { ip: parseIp('10.0.0.9'), mac }))
  t.strictSame(neighbourMessage.decode(added.payload), {
    header: { family: k.AF_INET, index: 7, state: k.NUD_PERMANENT, flags: 0, type: 0 },
    attributes: { destination: '10.0.0.9', mac },
  })
  t.equal(added.command, 'ip neighbour add 10.0.0.9 lladdr 02:00:00:00:00:09 dev web nud permanent')
  const replaced = asked(nl => replaceNeighbour(nl, link, { ip: parseIp('fd00::9'), mac, state: 'stale' }))
  t.match(neighbourMessage.decode(replaced.payload).header, { family: k.AF_INET6, state: 4 })
  const deleted = asked(nl => deleteNeighbour(nl, link, { ip: parseIp('fd00::9') }))
  t.match(deleted, { type: k.RTM_DELNEIGH, command: 'ip neighbour delete fd00::9 dev web' })
})
