/** More elements than a socket takes at once, as in a user namespace, whose root cannot enlarge it at will. */

import { constants } from 'node:os'
import t from 'tap'
import { SystemError } from '../../../src/ffi/ffi.ts'
import { inParts } from '../../../src/nat/nftables/parts.ts'
import {
  NFNL_MSG_BATCH_BEGIN,
  NFT_MSG_DELSETELEM,
  NFT_MSG_NEWSETELEM,
} from '../../../src/netfilter/constants.ts'
import type { ElementRun, SetElement } from '../../../src/netfilter/elements.ts'
import { readElements } from '../../../src/netfilter/list.ts'
import { Transaction } from '../../../src/netfilter/transaction.ts'
import { be16 } from '../../../src/netlink/codecs.ts'
import { Netlink } from '../../../src/netlink/netlink.ts'
import { refusalAt, ScriptedKernel, type Turn } from '../../support/scripted-kernel.ts'

const ROOM = 200_000
const table = { family: 'inet', name: 'tsnet' } as const

/** A kernel that takes no more than so much at once. */
class NarrowKernel extends ScriptedKernel {
  override send(datagram: Uint8Array): void {
    if (datagram.length > ROOM) throw new SystemError('send', constants.errno.EMSGSIZE)
    super.send(datagram)
  }
}

/** As a field of a concatenation. */
const field = (port: number): Uint8Array => Uint8Array.from([...be16.encode(port), 0, 0])

const PORTS = 5000
const comment = 'tsnet:0123456789abcdef'
/** One element, and a range of those that follow. */
const ranges: ElementRun[] = [
  { key: field(1), data: field(1), comment },
  { key: field(2), data: field(2), comment, count: PORTS - 1 },
]
const apart = ({ count = 1, ...first }: ElementRun): SetElement[] =>
  Array.from({ length: count }, (_, i) => {
    const key = field(be16.decode(first.key) + i)
    return { ...first, key, ...(first.data && { data: key }) }
  })
const everyPort = Array.from({ length: PORTS }, (_, i) => i + 1)

function install(kernel: ScriptedKernel) {
  const nl = new Netlink(kernel)
  const lasts: boolean[] = []
  const denial = inParts(
    ranges,
    (part, isLast) => {
      lasts.push(isLast)
      return new Transaction().createElements(table, 'ports4', part).commit(nl)
    },
    part => void new Transaction().deleteElements(table, 'ports4', part).commit(nl),
    apart,
  )
  return { denial, lasts }
}

/** The ports that messages of a type are for. */
const ports = (kernel: ScriptedKernel, wanted: number): number[] =>
  kernel.requests
    .filter(({ type }) => type === wanted)
    .flatMap(({ payload }) => readElements(payload).map(({ key }) => be16.decode(key)))

const silent = (): Turn[] => Array.from({ length: 60 }, () => () => [])

t.test('they go in parts, of which the last is told', async t => {
  const kernel = new NarrowKernel(...silent())
  const { denial, lasts } = install(kernel)
  t.equal(denial, undefined)
  t.strictSame(lasts, [true, false, false, true])
  t.equal(kernel.datagrams, 3)
  t.strictSame(ports(kernel, NFT_MSG_NEWSETELEM), everyPort)
})

t.test('when a later part is refused, those before are taken back', async t => {
  let batches = 0
  let refused = false
  const turn: Turn = request => {
    if (request.type === NFNL_MSG_BATCH_BEGIN) batches++
    if (batches !== 3 || request.type !== NFT_MSG_NEWSETELEM || refused) return []
    refused = true
    return [refusalAt(request, 'EEXIST')]
  }
  const kernel = new NarrowKernel(...Array.from({ length: 60 }, () => turn))
  t.equal(install(kernel).denial?.code, 'EEXIST')
  t.strictSame(
    ports(kernel, NFT_MSG_DELSETELEM).sort((a, b) => a - b),
    everyPort.slice(0, 4000),
  )
})

t.test('one part that is too large all the same is an error', async t => {
  const denied = () =>
    inParts(
      [1],
      () => {
        throw new SystemError('send', constants.errno.EMSGSIZE)
      },
      () => {},
      range => [range],
    )
  t.throws(denied, { code: 'EMSGSIZE' })
})
