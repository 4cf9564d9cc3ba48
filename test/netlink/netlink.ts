import { constants } from 'node:os'
import t from 'tap'
import { MalformedError } from '../../src/netlink/codecs.ts'
import * as k from '../../src/netlink/constants.ts'
import { encodeMessage } from '../../src/netlink/message.ts'
import { Netlink, type Request } from '../../src/netlink/netlink.ts'
import {
  ack,
  done,
  object,
  part,
  refusal,
  ScriptedKernel,
  systemError,
  type Turn,
} from '../support/scripted-kernel.ts'

const request: Request = {
  equivalent: 'ip link set dev web up',
  type: k.RTM_NEWLINK,
  flags: k.NLM_F_CREATE,
  payload: [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8)],
}
const list: Request = { equivalent: 'ip link show', type: k.RTM_GETLINK, payload: [] }
const bytes = (...values: number[]) => Uint8Array.from(values)
const payloads = (messages: { payload: Uint8Array }[]) => messages.map(({ payload }) => [...payload])

t.test('a change is a request with an acknowledgement', async t => {
  const heard: string[] = []
  const kernel = new ScriptedKernel(request => [ack(request)])
  new Netlink(kernel, equivalent => heard.push(equivalent)).change(request)
  t.match(kernel.requests, [
    {
      type: k.RTM_NEWLINK,
      flags: k.NLM_F_REQUEST | k.NLM_F_ACK | k.NLM_F_CREATE,
      sequence: 1,
      payload: bytes(1, 2, 3, 4, 5, 6, 7, 8),
    },
  ])
  t.strictSame(heard, ['ip link set dev web up'])
})

t.test("a conversation that is over is not gone on with: its socket may be another's", async t => {
  const kernel = new ScriptedKernel()
  const nl = new Netlink(kernel)
  nl[Symbol.dispose]()
  t.throws(() => nl.change(request), {
    code: 'internal',
    message: /ip link set dev web up: the conversation is over/,
  })
  t.same(kernel.requests, [])
})

t.test('what is not there is no error where it need not be', async t => {
  const query: Request = { ...list, equivalent: () => 'ip link show dev web' }
  const kernel = new ScriptedKernel(
    request => [refusal(request, 'ENODEV')],
    request => [refusal(request, 'EPERM')],
    request => [refusal(request, 'ENODEV')],
    request => [object(request, bytes(7)), ack(request)],
    request => [ack(request)],
  )
  const nl = new Netlink(kernel)
  t.equal(nl.find(query, 'ENODEV'), undefined)
  t.throws(() => nl.find(query, 'ENODEV'), { code: 'EPERM', message: /^ip link show dev web: / })
  t.throws(() => nl.get(query), { code: 'ENODEV' })
  t.match(nl.find(query, 'ENODEV'), { payload: bytes(7) })
  t.throws(() => nl.find(query, 'ENODEV'), { code: 'ENODATA' })
})

t.test("a refusal is an error with the operation, the code and the kernel's own words", async t => {
  const kernel = new ScriptedKernel(
    request => [refusal(request, 'EEXIST', 'Name is taken')],
    request => [refusal(request, 'EPERM')],
  )
  const nl = new Netlink(kernel)
  t.throws(() => nl.change(request), {
    name: 'NetlinkError',
    code: 'EEXIST',
    errno: 17,
    operation: 'ip link set dev web up',
    message: 'ip link set dev web up: Name is taken (EEXIST)',
  })
  t.throws(() => nl.change(request), {
    code: 'EPERM',
    message: 'ip link set dev web up: Operation not permitted (EPERM)',
  })
})

t.test('one object is the whole answer: no acknowledgement is asked for, nor waited for', async t => {
  const kernel = new ScriptedKernel(
    request => [object(request, bytes(1))],
    request => [refusal(request, 'ENODEV')],
    request => [ack(request)],
  )
  const nl = new Netlink(kernel)
  t.strictSame([...nl.get(list).payload], [1])
  t.equal(kernel.requests[0]?.flags, k.NLM_F_REQUEST)
  t.throws(() => nl.get(list), { code: 'ENODEV' })
  t.throws(() => nl.get(list), { code: 'ENODATA' }, 'an acknowledgement alone is no object')
})

t.test('a conversation leaves a quiet socket unless an answer was not heard to its end', async t => {
  type Turns = ConstructorParameters<typeof ScriptedKernel>
  const isQuiet = (work: (nl: Netlink) => void, ...turns: Turns): boolean | undefined => {
    const kernel = new ScriptedKernel(...turns)
    const nl = new Netlink(kernel)
    work(nl)
    nl[Symbol.dispose]()
    return kernel.isQuiet
  }
  const { change, get, dump } = {
    change: (nl: Netlink) => nl.change(request),
    get: (nl: Netlink) => nl.get(list),
    dump: (nl: Netlink) => nl.dump(list),
  }
  const fails = (work: (nl: Netlink) => unknown) => (nl: Netlink) => t.throws(() => work(nl))
  t.ok(
    isQuiet(() => {}),
    'nothing was asked',
  )
  t.ok(isQuiet(change, request => [ack(request)]))
  t.ok(isQuiet(get, request => [object(request, bytes(1))]))
  t.ok(isQuiet(dump, request => [part(request, bytes(1)), done(request)]))
  t.ok(isQuiet(fails(change), request => [refusal(request, 'EPERM')]))
  t.notOk(
    isQuiet(fails(change), () => []),
    'no answer came',
  )
  t.notOk(
    isQuiet(fails(change), () => [systemError('ENOBUFS')]),
    'it was lost',
  )
  t.notOk(
    isQuiet(fails(dump), request => [part(request, bytes(1, 2, 3, 4)).subarray(0, 18), done(request)]),
    'it makes no sense',
  )
})

t.test('a dump is collected over several datagrams with several messages each', async t => {
  const kernel = new ScriptedKernel(request => [
    Buffer.concat([part(request, bytes(1, 0, 0, 0)), part(request, bytes(2, 0, 0, 0))]),
    part(request, bytes(3, 0, 0, 0)),
    done(request),
  ])
  const first = (messages: { payload: Uint8Array }[]) => messages.map(({ payload }) => payload[0])
  t.strictSame(first(new Netlink(kernel).dump(list)), [1, 2, 3])
  t.equal(kernel.requests[0]?.flags, k.NLM_F_REQUEST | k.NLM_F_DUMP)
})

t.test('what was collected stays when the receive buffer is used again', async t => {
  const buffer = new Uint8Array(64)
  const kernel = new ScriptedKernel(request => {
    const [a, b, end] = [part(request, bytes(1, 1, 1, 1)), part(request, bytes(2, 2, 2, 2)), done(request)]
    return [a, b, end]
  })
  const reused = {
    send: (datagram: Uint8Array) => kernel.send(datagram),
    receive(wait: boolean) {
      const datagram = kernel.receive(wait)
      buffer.fill(0xee).set(datagram)
      return buffer.subarray(0, datagram.length)
    },
    poll: () => undefined,
    [Symbol.dispose]() {},
  }
  t.strictSame(payloads(new Netlink(reused).dump(list)), [
    [1, 1, 1, 1],
    [2, 2, 2, 2],
  ])
})

t.test('a dump that was interrupted is asked for again until the picture is consistent', async t => {
  const kernel = new ScriptedKernel(
    request => [part(request, bytes(1), k.NLM_F_DUMP_INTR), done(request)],
    request => [part(request, bytes(2)), done(request)],
  )
  t.strictSame(payloads(new Netlink(kernel).dump(list)), [[2]])
  t.strictSame(
    kernel.requests.map(({ sequence }) => sequence),
    [1, 2],
  )
})

t.test('a dump that never comes to rest is an error, not a loop', async t => {
  const turn = (request: Parameters<typeof done>[0]) => [
    part(request, bytes(1), k.NLM_F_DUMP_INTR),
    done(request),
  ]
  const kernel = new ScriptedKernel(...Array.from({ length: 50 }, () => turn))
  t.throws(() => new Netlink(kernel).dump(list), {
    code: 'EINTR',
    message: /changed while it was read, 20 times/,
  })
  t.equal(kernel.requests.length, 20)
})

t.test('after an overrun a dump is read to its end and asked for again', async t => {
  const kernel = new ScriptedKernel(
    request => [part(request, bytes(1)), systemError('ENOBUFS'), part(request, bytes(3)), done(request)],
    request => [part(request, bytes(1)), part(request, bytes(2)), part(request, bytes(3)), done(request)],
  )
  t.strictSame(payloads(new Netlink(kernel).dump(list)), [[1], [2], [3]])
})

t.test('an overrun that swallowed the end of a dump does not make it wait', async t => {
  const kernel = new ScriptedKernel(
    request => [part(request, bytes(1)), systemError('ENOBUFS')],
    request => [part(request, bytes(1)), done(request)],
  )
  const waits: boolean[] = []
  const watched = {
    send: (datagram: Uint8Array) => kernel.send(datagram),
    receive(wait: boolean) {
      waits.push(wait)
      return kernel.receive(wait)
    },
    poll: () => undefined,
    [Symbol.dispose]() {},
  }
  t.strictSame(payloads(new Netlink(watched).dump(list)), [[1]])
  t.strictSame(waits, [true, true, false, true, true])
})

t.test('a change whose acknowledgement was lost is an error that says so', async t => {
  const kernel = new ScriptedKernel(
    () => [systemError('ENOBUFS')],
    request => [systemError('ENOBUFS'), ack(request)],
  )
  const nl = new Netlink(kernel)
  t.throws(() => nl.change(request), { code: 'ENOBUFS', message: /no memory for its answer/ })
  nl.change(request)
})

t.test('a kernel that does not answer is named as such', async t => {
  const kernel = new ScriptedKernel(() => [])
  t.throws(() => new Netlink(kernel).change(request), {
    code: 'ETIMEDOUT',
    message: 'ip link set dev web up: the kernel did not answer within 10 s (ETIMEDOUT)',
  })
})

t.test('answers to earlier requests are left-overs and are dropped', async t => {
  const kernel = new ScriptedKernel(
    request => [part(request, bytes(7)), ack({ ...request, sequence: 1 })],
    request => [
      refusal({ ...request, sequence: request.sequence - 1 }, 'EBUSY'),
      part({ ...request, sequence: 0 }, bytes(9)),
      part(request, bytes(1)),
      done(request),
    ],
  )
  const nl = new Netlink(kernel)
  nl.change(request)
  t.strictSame(payloads(nl.dump(list)), [[1]])
})

t.test('a dump that fails at its end is an error with the words of the kernel', async t => {
  const kernel = new ScriptedKernel(request => [
    part(request, bytes(1)),
    done(request, 'EINVAL', 'Invalid header for dump request'),
  ])
  t.throws(() => new Netlink(kernel).dump(list), {
    code: 'EINVAL',
    message: 'ip link show: Invalid header for dump request (EINVAL)',
  })
})

t.test('an answer that is cut short is malformed, and the rest of it does not disturb the next', async t => {
  const kernel = new ScriptedKernel(
    request => [part(request, bytes(1, 2, 3, 4)).subarray(0, 18), part(request, bytes(5)), done(request)],
    request => [part(request, bytes(6)), done(request)],
  )
  const nl = new Netlink(kernel)
  t.throws(() => nl.dump(list), MalformedError)
  t.throws(() => kernel.receive(false), { code: 'EAGAIN' }, 'nothing is left in the socket')
  t.strictSame(payloads(nl.dump(list)), [[6]])
})

t.test('messages that mean nothing are passed over', async t => {
  const kernel = new ScriptedKernel(request => [
    encodeMessage({ ...request, type: k.NLMSG_NOOP }),
    part(request, bytes(1)),
    done(request),
  ])
  t.equal(new Netlink(kernel).dump(list).length, 1)
})

t.test('a conversation that ends closes its socket', async t => {
  const kernel = new ScriptedKernel()
  {
    using _nl = new Netlink(kernel)
  }
  t.equal(kernel.disposed, 1)
})

t.test('many changes are sent at once, and what is refused has the number of its request', async t => {
  const silent = (): [] => []
  const kernel = new ScriptedKernel(
    silent,
    request => [refusal(request, 'EEXIST', 'already there')],
    silent,
    request => [refusal(request, 'ENODEV')],
  )
  const said: string[] = []
  const nl = new Netlink(kernel, command => said.push(command))
  const asked = (n: number) => ({ ...request, equivalent: `change ${n}`, flags: k.NLM_F_CREATE })
  t.strictSame(
    nl.changeEach([0, 1, 2, 3].map(asked)).map(({ index, errno, text }) => [index, errno, text]),
    [
      [1, constants.errno.EEXIST, 'already there'],
      [3, constants.errno.ENODEV, undefined],
    ],
  )
  t.equal(kernel.datagrams, 1)
  t.strictSame(said, ['change 0', 'change 1', 'change 2', 'change 3'])
  t.ok(kernel.requests.every(({ flags }) => flags === (k.NLM_F_REQUEST | k.NLM_F_CREATE)))
  t.strictSame(nl.changeEach([]), [])
})

t.test('more changes than one datagram holds go in several, and the count goes on', async t => {
  const count = 3_000
  const turns = Array.from(
    { length: count },
    (_, n): Turn =>
      request =>
        n === 2_500 ? [refusal(request, 'EEXIST')] : [],
  )
  const kernel = new ScriptedKernel(...turns)
  const odd = { ...request, payload: [bytes(1, 2, 3)] }
  const refused = new Netlink(kernel).changeEach(Array.from({ length: count }, () => odd))
  t.strictSame(
    refused.map(({ index }) => index),
    [2_500],
  )
  t.equal(kernel.requests.length, count)
  t.ok(kernel.datagrams > 1 && kernel.datagrams < 40, `${kernel.datagrams} datagrams`)
})

t.test('a refusal that was lost is an error, since nobody knows what is there now', async t => {
  const kernel = new ScriptedKernel(() => [systemError('ENOBUFS')])
  t.throws(() => new Netlink(kernel).changeEach([request]), { code: 'ENOBUFS' })
})
