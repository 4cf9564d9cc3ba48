import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import * as k from '../../../src/netlink/constants.ts'
import { deleteLinks } from '../../../src/netlink/link/delete.ts'
import type { Message } from '../../../src/netlink/message.ts'
import { Netlink } from '../../../src/netlink/netlink.ts'
import { ack, refusal, ScriptedKernel, type Turn } from '../../support/scripted-kernel.ts'

/** A kernel over whose deletions one waits until they are let go on. */
class WaitingKernel extends ScriptedKernel {
  #goOn: (() => void)[] = []

  async sendAside(datagram: Uint8Array): Promise<void> {
    await new Promise<void>(resolve => this.#goOn.push(resolve))
    this.send(datagram)
  }

  goOn(): void {
    this.#goOn.shift()?.()
  }

  get waiting(): number {
    return this.#goOn.length
  }
}

const yes: Turn = request => [ack(request)]
const deletions = (requests: readonly Message[]) => requests.filter(({ type }) => type === k.RTM_DELLINK)

t.test('what comes while the kernel waits is deleted together, next', async t => {
  const kernels = Array.from({ length: 4 }, () => new WaitingKernel(yes, yes))
  const ended = kernels.map((kernel, i) => deleteLinks(new Netlink(kernel), [{ index: i + 1 }]))
  await sleep(1)
  t.same(
    kernels.map(({ requests }) => requests.length),
    [1, 1, 1, 1],
    'all are condemned at once',
  )
  t.same(
    kernels.map(({ waiting }) => waiting),
    [1, 0, 0, 0],
  )
  kernels[0]?.goOn()
  await ended[0]
  await sleep(1)
  t.same(
    kernels.map(({ waiting }) => waiting),
    [0, 1, 0, 0],
  )
  kernels[1]?.goOn()
  await Promise.all(ended)
  t.same(
    kernels.map(({ requests }) => deletions(requests).length),
    [1, 1, 0, 0],
  )
})

t.test('links that are gone already count as deleted', async () => {
  const gone: Turn = request => [refusal(request, 'ENODEV')]
  await deleteLinks(new Netlink(new ScriptedKernel(gone, gone)), [{ index: 1 }])
})

t.test('where the group cannot be deleted, everybody deletes his own', async t => {
  const kernel = new ScriptedKernel(yes, yes, request => [refusal(request, 'EOPNOTSUPP')], yes, yes)
  await deleteLinks(new Netlink(kernel), [{ index: 1 }, { index: 2 }])
  t.equal(deletions(kernel.requests).length, 3)
})

t.test('of what cannot be deleted its owner is told', async t => {
  const no: Turn = request => [refusal(request, 'EPERM')]
  await t.rejects(deleteLinks(new Netlink(new ScriptedKernel(yes, no, no)), [{ index: 1 }]), {
    code: 'EPERM',
  })
})

t.test('nothing to delete is nothing to ask', async () => {
  await deleteLinks(new Netlink(new ScriptedKernel()), [])
})
