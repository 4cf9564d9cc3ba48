/**
 *     host ─── br-front ─── web, other
 *
 * Clients on the host of published loopback addresses, led to the container by the kernel, without a proxy: whoever
 * is not led is refused.
 */

import { once } from 'node:events'
import { Socket } from 'node:net'
import { resolve } from 'node:path'
import t, { type Test } from 'tap'
import { type Place, waitFor } from 'tsnet/lab'
import { openConnected } from '../../src/lab/sockets.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { Redirect, type RedirectPlan } from '../../src/redirect/redirect.ts'
import { Scene } from '../support/scene.ts'

const V4 = parseIp('10.10.0.2')

/** A host whose containers have the addresses 10.10.0.2, 10.10.0.3 …, and what redirects on it. */
async function open(t: Test, ...more: string[]) {
  const scene = await Scene.open('iptables', 'web', ...more)
  t.teardown(() => scene.close())
  const network = scene.network('front', 10)
  for (const name of ['web', ...more]) await network.add(scene.get(name))
  const redirect = scene.host.inside(() => new Redirect())
  t.teardown(() => redirect[Symbol.dispose]())
  return { scene, network, redirect }
}

const plan = (over: Partial<RedirectPlan> = {}): RedirectPlan => ({
  on: [4, 6],
  hostPort: 8080,
  count: 1,
  target: { ip: V4, port: 80 },
  ...over,
})

/** A connection from a place that has been made. */
async function dial(place: Place, address: string, port: number): Promise<Socket> {
  const socket = new Socket({ fd: place.inside(() => openConnected('tcp', parseIp(address), port, 0)) })
  const reply = once(socket, 'data')
  socket.write('hello\n')
  await reply
  return socket
}

const refused = { code: 'ECONNREFUSED' }

t.test(
  'loopback addresses of both families lead to an IPv4 container, and peers are who was asked',
  async t => {
    const { scene, redirect } = await open(t)
    redirect.set('web', plan())
    for (const address of ['127.0.0.1', '127.8.9.10', '::1', '::ffff:127.0.0.1']) {
      const answer = await scene.host.ask('tcp', address, 8080)
      t.equal(answer.place, 'web', address)
      t.equal(answer.peer, '10.10.0.1', 'nobody is between')
      const socket = await dial(scene.host, address, 8080)
      t.same(
        [socket.remoteAddress, socket.remotePort],
        [address, 8080],
        'the peer is whom the client asked for',
      )
      socket.destroy()
    }
    t.equal(redirect.connections('web'), 8)
    await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8081), refused)
    const direct = await dial(scene.host, V4, 80)
    t.same([direct.remoteAddress, direct.remotePort], [V4, 80], 'who asks for the container gets it')
    direct.destroy()
    redirect.remove('web')
    await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8080), refused)
  },
)

t.test('an IPv6 container is for IPv6 sockets, and one address leads where the others do not', async t => {
  const { scene, redirect } = await open(t)
  redirect.set('six', plan({ target: { ip: parseIp('fd10::2'), port: 80 } }))
  t.equal((await scene.host.ask('tcp', '::1', 8080)).peer, 'fd10::1')
  await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8080), refused)
  redirect.set('six', plan({ on: [parseIp('127.0.0.5')] }))
  t.equal((await scene.host.ask('tcp', '127.0.0.5', 8080)).place, 'web')
  t.equal((await scene.host.ask('tcp', '::ffff:127.0.0.5', 8080)).place, 'web')
  for (const address of ['127.0.0.1', '::1']) await t.rejects(scene.host.ask('tcp', address, 8080), refused)
})

t.test('each port of a range of ten thousand leads to its own', async t => {
  const { scene, redirect } = await open(t)
  for (const port of [1080, 9999]) scene.get('web').listen('tcp', port)
  const begun = performance.now()
  redirect.set('range', plan({ hostPort: 20_000, count: 10_000, target: { ip: V4, port: 80 } }))
  const took = performance.now() - begun
  for (const port of [20_000, 21_000, 29_919])
    t.equal((await scene.host.ask('tcp', '::1', port)).place, 'web')
  for (const port of [19_999, 20_001, 30_000])
    await t.rejects(scene.host.ask('tcp', '127.0.0.1', port), refused)
  // Of one address each port has a key of its own.
  const again = performance.now()
  redirect.set('one', plan({ on: [parseIp('127.0.0.1')], hostPort: 40_000, count: 10_000 }))
  t.comment(`${took} ms, of one address ${performance.now() - again} ms`)
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 40_000)).place, 'web')
  const socket = await dial(scene.host, '127.0.0.1', 29_919)
  t.equal(socket.remotePort, 29_919)
  socket.destroy()
})

/** Sockets that would fail, or show the container, if they were led there; those of UDP ask somebody else. */
const LEFT_ALONE: [name: string, python: string][] = [
  ['bound to 127.0.0.1', "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.connect(('127.0.0.1', 8080))"],
  ['bound to ::1', "s = socket.socket(socket.AF_INET6); s.bind(('::1', 0)); s.connect(('::1', 8080))"],
  [
    'bound to lo',
    "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, 25, b'lo'); s.connect(('127.0.0.1', 8080))",
  ],
  [
    'for IPv6 alone',
    's = socket.socket(socket.AF_INET6); s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1); ' +
      "s.connect(('::1', 8080))",
  ],
  ["MPTCP's", "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.connect(('127.0.0.1', 8080))"],
  [
    "UDP's",
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.1', 8080)); s.send(b'x'); " +
      's.settimeout(5); s.recv(1)',
  ],
]

t.test('sockets that could not be led stay on this host', async t => {
  const { scene, redirect } = await open(t)
  redirect.set('web', plan())
  for (const [name, python] of LEFT_ALONE) {
    const { stderr } = await scene.host.run('python3', '-c', `import socket; ${python}`, { mayFail: true })
    t.match(stderr, 'ConnectionRefusedError', name)
  }
  t.equal(redirect.connections('web'), 0)
  // The control: bound to a port alone, or to an address of this host that others reach, they are led.
  const BOUND = [
    "s.bind(('', 0))",
    "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('', 4321))",
    "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); s.bind(('0.0.0.0', 4322))",
    "s.bind(('192.168.50.1', 0))",
  ]
  for (const bind of BOUND) {
    const connect = "s.connect(('127.0.0.1', 8080)); print(*s.getpeername())"
    const { stdout } = await scene.host.run(
      'python3',
      '-c',
      `import socket; s = socket.socket(); ${bind}; ${connect}`,
    )
    t.equal(stdout, '127.0.0.1 8080\n', bind)
  }
  t.equal(redirect.connections('web'), BOUND.length)
})

t.test("a container's own loopback is its own, and so is another host's", async t => {
  const { scene, redirect } = await open(t)
  redirect.set('web', plan())
  await t.rejects(scene.get('web').ask('tcp', '127.0.0.1', 8080), refused)
  await t.rejects(scene.client.ask('tcp', '127.0.0.1', 8080), refused)
  t.equal(redirect.connections('web'), 0)
})

t.test("what the container answers is the kernel's own error", async t => {
  const { scene, redirect } = await open(t)
  redirect.set('silent', plan({ target: { ip: V4, port: 81 } }))
  await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8080), refused)
  redirect.set('silent', plan({ target: { ip: parseIp('10.10.0.77'), port: 80 } }))
  await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8080), { code: 'EHOSTUNREACH' })
  t.equal(redirect.connections('silent'), 2)
})

t.test('whoever sets a port last has it, also when the one before goes', async t => {
  const { scene, redirect } = await open(t, 'other')
  const other = { ip: parseIp('10.10.0.3'), port: 80 }
  redirect.set('first', plan({ count: 4 }))
  redirect.set('next', plan({ count: 2, target: other }))
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'other')
  redirect.remove('first')
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'other')
  redirect.set('next', plan({ count: 1 }))
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  redirect.remove('next')
  for (const port of [8080, 8081, 8083]) await t.rejects(scene.host.ask('tcp', '127.0.0.1', port), refused)
})

t.test('connections that were led are ended, those that asked for the container are not', async t => {
  const { scene, redirect } = await open(t)
  redirect.set('web', plan())
  const led = [await dial(scene.host, '127.0.0.1', 8080), await dial(scene.host, '::1', 8080)]
  const direct = await dial(scene.host, V4, 80)
  const ended = led.map(socket => once(socket, 'error'))
  const gone = redirect.remove('web')
  if (gone === undefined) throw new Error('it was not there')
  await redirect.end(gone, 0)
  for (const [error] of await Promise.all(ended)) t.match(error, { code: 'ECONNABORTED' })
  const reply = once(direct, 'data')
  direct.write('again\n')
  t.match(String((await reply)[0]), 'again', 'the control goes on')
  direct.destroy()
})

t.test('a connection that finishes in time is not cut off, and then nobody waits', async t => {
  const { scene, redirect } = await open(t)
  redirect.set('web', plan())
  const socket = await dial(scene.host, '127.0.0.1', 8080)
  const ended = redirect.end(plan(), 60_000)
  const reply = once(socket, 'data')
  socket.write('again\n')
  await reply
  socket.destroy()
  await ended
})

t.test('of two that lead to the same port, the one that ends takes its own connections along', async t => {
  const { scene, redirect } = await open(t)
  const ONES: [id: string, on: RedirectPlan['on'], address: string][] = [
    ['one', [parseIp('127.0.0.1')], '127.0.0.1'],
    ['two', [parseIp('127.0.0.2')], '127.0.0.2'],
    ['six', [6], '::1'],
  ]
  for (const [id, on] of ONES) redirect.set(id, plan({ on }))
  const sockets = await Promise.all(ONES.map(([, , address]) => dial(scene.host, address, 8080)))
  for (const [i, [id, , address]] of ONES.entries()) {
    const [socket, ...others] = sockets.slice(i)
    if (socket === undefined) throw new Error('none is left')
    const ended = once(socket, 'error')
    const gone = redirect.remove(id)
    if (gone === undefined) throw new Error('it was not there')
    await redirect.end(gone, 0)
    t.match((await ended)[0], { code: 'ECONNABORTED' }, address)
    for (const other of others) {
      const reply = once(other, 'data')
      other.write('again\n')
      t.match(String((await reply)[0]), 'again', `${other.remoteAddress} goes on`)
    }
  }
})

t.test('whoever comes once a port is published again is none of those who have to finish', async t => {
  const { scene, redirect } = await open(t)
  redirect.set('web', plan())
  const first = await dial(scene.host, '127.0.0.1', 8080)
  const gone = redirect.remove('web')
  if (gone === undefined) throw new Error('it was not there')
  const over = redirect.end(gone, 300)
  redirect.set('web', plan())
  const next = await dial(scene.host, '127.0.0.1', 8080)
  const [[error]] = await Promise.all([once(first, 'error'), over])
  t.match(error, { code: 'ECONNABORTED' })
  const reply = once(next, 'data')
  next.write('again\n')
  t.match(String((await reply)[0]), 'again')
  next.destroy()
})

t.test('who was on the way as an end began is ended a moment later, and nobody who is led again', async t => {
  const { scene, redirect } = await open(t, 'other')
  const other = plan({ hostPort: 8081, target: { ip: parseIp('10.10.0.3'), port: 80 } })
  redirect.set('other', other)
  redirect.set('web', plan())
  // No list has shown it: to `end` it was not there.
  const unseen = await dial(scene.host, '127.0.0.1', 8080)
  redirect.remove('web')
  redirect.set('web', plan({ on: [6] }))
  const [next, apart] = [await dial(scene.host, '::1', 8080), await dial(scene.host, '127.0.0.1', 8081)]
  redirect.set('brief', plan({ on: [parseIp('127.0.0.9')] }))
  const finishing = await dial(scene.host, '127.0.0.9', 8080)
  const brief = redirect.remove('brief')
  if (brief === undefined) throw new Error('it was not there')
  const drained = redirect.end(brief, 60_000)
  const over = Promise.all([plan(), brief, other].map(each => redirect.endLate(each)))
  const [[error]] = await Promise.all([once(unseen, 'error'), over])
  t.match(error, { code: 'ECONNABORTED' })
  for (const socket of [next, apart, finishing]) {
    const reply = once(socket, 'data')
    socket.write('again\n')
    t.match(String((await reply)[0]), 'again', `${socket.remoteAddress} goes on`)
    socket.destroy()
  }
  await drained
})

/**
 * Connects one socket to one address after the other, and prints its peer. In between it is disconnected, or was refused.
 */
const ANEW = `
import ctypes, socket, struct, sys
s = socket.socket(int(sys.argv[1]))
for address, port in (word.rsplit('.', 1) for word in sys.argv[2:]):
  try:
    s.connect((address, int(port)))
    print(*s.getpeername()[:2])
    ctypes.CDLL(None).connect(s.fileno(), struct.pack('H26x', socket.AF_UNSPEC), 28)
  except ConnectionRefusedError: print('refused')
`
const [INET, INET6] = ['2', '10']

t.test('a socket that connects again, to the container itself, has the container as its peer', async t => {
  const { scene, redirect } = await open(t)
  redirect.set('four', plan())
  redirect.set('six', plan({ hostPort: 8086, target: { ip: parseIp('fd10::2'), port: 80 } }))
  const SOCKETS: [family: string, ...to: string[]][] = [
    [INET, '127.0.0.1.8080', '10.10.0.2.80'],
    [INET, '127.0.0.1.8080', '127.0.0.1.8081', '10.10.0.2.9', '10.10.0.2.80'],
    [INET6, '::ffff:127.0.0.1.8080', '::ffff:10.10.0.2.80'],
    [INET6, '::1.8080', '::ffff:10.10.0.2.80'],
    [INET6, '::1.8086', 'fd10::2.80'],
    [INET6, '::1.8086', 'fd10::2.9', 'fd10::2.80', '::1.8080', '::ffff:10.10.0.2.80'],
  ]
  for (const [family, ...to] of SOCKETS) {
    const { stdout } = await scene.host.run('python3', '-c', ANEW, family, ...to)
    const peers = to.map(word => (/\.(9|8081)$/.test(word) ? 'refused' : word.replace(/\.(\d+)$/, ' $1')))
    t.same(stdout.trim().split('\n'), peers, to.join(', '))
  }
  t.equal(redirect.connections('four'), 5)
  t.equal(redirect.connections('six'), 2)
})

/** A socket that was led, then listens itself, and lets in who calls from the very port that it was led to. */
const SERVER = `
import ctypes, socket, struct
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.connect(('127.0.0.1', 8080))
print(*s.getpeername())
ctypes.CDLL(None).connect(s.fileno(), struct.pack('H14x', socket.AF_UNSPEC), 16)
s.bind(('10.10.0.1', 9000)); s.listen()
print('listening', flush=True)
print(*s.accept()[0].getpeername())
`
const CALLER = `
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('10.10.0.2', 81)); s.connect(('10.10.0.1', 9000))
`

t.test('who is let in by a server has its own address, also if a port leads to it', async t => {
  const { scene, redirect } = await open(t)
  redirect.set('web', plan({ target: { ip: V4, port: 81 } }))
  const first = scene.get('web').listen('tcp', 81)
  const server = scene.host.start('python3', '-c', SERVER)
  await waitFor(() => server.stdout.includes('listening'), { what: 'the server' })
  first.close()
  await scene.get('web').run('python3', '-c', CALLER)
  t.same((await server.finished).stdout.trim().split('\n'), ['127.0.0.1 8080', 'listening', '10.10.0.2 81'])
})

t.test('who has an address next gets no connection that was meant for the one before', async t => {
  for (const isEnded of [false, true]) {
    const { scene, redirect } = await open(t, 'next')
    redirect.set('web', plan({ target: { ip: parseIp('10.10.0.99'), port: 80 } }))
    // Nobody has the address: the client's first packet waits for somebody who says that it is his.
    const answer = scene.host.ask('tcp', '127.0.0.1', 8080)
    answer.catch(() => {})
    await waitFor(async () => (await scene.host.run('ss', '-tnH', 'state', 'syn-sent')).stdout !== '', {
      what: 'the client to be on its way',
    })
    const gone = redirect.remove('web')
    if (isEnded && gone !== undefined) await redirect.end(gone, 0)
    scene.get('next').address('eth0', '10.10.0.99/16')
    if (isEnded) await t.rejects(answer, { code: 'ECONNABORTED' })
    else t.equal((await answer).place, 'next', 'the control')
  }
})

t.test('a process that is killed leaves nothing behind', async t => {
  const { scene } = await open(t)
  const redirects = resolve('dist/lib/src/redirect/redirect.js')
  const script = `
    const { Redirect } = await import(${JSON.stringify(redirects)})
    new Redirect().set('web', ${JSON.stringify(plan())})
    console.log('ready')
    setInterval(() => {}, 1000)
  `
  const child = scene.host.start(process.execPath, '--input-type=module', '-e', script)
  await waitFor(() => child.stdout.includes('ready'), { what: 'the child to redirect' })
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  await child.stop('SIGKILL')
  const isRefused = () =>
    scene.host.ask('tcp', '127.0.0.1', 8080).then(
      () => false,
      () => true,
    )
  await waitFor(isRefused, { what: 'the programs to be gone' })
})
