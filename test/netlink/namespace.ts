import t from 'tap'
import * as k from '../../src/netlink/constants.ts'
import { namespaceMessage, netnsNumber } from '../../src/netlink/namespace.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { ack, object, ScriptedKernel } from '../support/scripted-kernel.ts'

t.test('a namespace is numbered by whoever is asked', async t => {
  for (const id of [3, -1, undefined]) {
    const kernel = new ScriptedKernel(request => [
      object(request, namespaceMessage.encode({ header: {}, attributes: { id } })),
      ack(request),
    ])
    t.equal(netnsNumber(new Netlink(kernel), 9), id ?? -1)
    const [request] = kernel.requests
    t.equal(request?.type, k.RTM_GETNSID)
    t.match(namespaceMessage.decode(request?.payload ?? new Uint8Array(4)).attributes, { fd: 9 })
  }
})
