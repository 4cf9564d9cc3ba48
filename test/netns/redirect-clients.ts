/**
 *     host ─── br-front ─── web
 *
 * Programs of every kind ask for a port that is redirected. Each gets its answer, by the kernel where that can be, by
 * the proxy where it cannot.
 */

import t from 'tap'
import { withDaemon } from '../support/daemon.ts'

t.setTimeout(600_000)

/** Asks over a socket of Python, and prints the answer and the peer. */
const python = (
  make: string,
  address = "('127.0.0.1', 8080)",
  connect = `s.connect(${address})`,
): string[] => [
  'python3',
  '-c',
  [
    'import errno, select, socket',
    make,
    connect,
    "s.send(b'GET / HTTP/1.0\\r\\n\\r\\n')",
    'print(s.getpeername()[:2])',
    "print(b''.join(iter(lambda: s.recv(4096), b'')).decode())",
  ].join('\n'),
]
const V4 = 's = socket.socket()'
const V6 = 's = socket.socket(socket.AF_INET6)'
const ON_V6 = "('::1', 8080)"
const NON_BLOCKING = [
  's.setblocking(False)',
  "assert s.connect_ex(('127.0.0.1', 8080)) in (0, errno.EINPROGRESS)",
  'select.select([], [s], [])',
  'assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0',
  's.setblocking(True)',
].join('\n')
const FAST_OPEN = "s.sendto(b'', 0x20000000, ('127.0.0.1', 8080))"

const CLIENTS: [name: string, by: 'redirect' | 'proxy', ...command: string[]][] = [
  ['curl, by name', 'redirect', 'curl', '-sS', 'http://localhost:8080/'],
  ['curl, IPv4', 'redirect', 'curl', '-sS', 'http://127.0.0.1:8080/'],
  ['curl, IPv6', 'redirect', 'curl', '-sS', 'http://[::1]:8080/'],
  [
    'curl, both at once (happy eyeballs)',
    'redirect',
    ...['curl', '-sS', '--happy-eyeballs-timeout-ms', '1', '--resolve', 'web:8080:[::1],127.0.0.1'],
    'http://web:8080/',
  ],
  ['curl, fast open', 'redirect', 'curl', '-sS', '--tcp-fastopen', 'http://127.0.0.1:8080/'],
  ['curl, from 127.0.0.1', 'proxy', 'curl', '-sS', '--interface', 'host!127.0.0.1', 'http://127.0.0.1:8080/'],
  ['curl, over lo', 'proxy', 'curl', '-sS', '--interface', 'if!lo', 'http://127.0.0.1:8080/'],
  [
    'Node',
    'redirect',
    ...[process.execPath, '-e', "fetch('http://localhost:8080/').then(r => r.text()).then(console.log)"],
  ],
  ['busybox, a static program', 'redirect', 'busybox', 'wget', '-qO-', 'http://127.0.0.1:8080/'],
  ['busybox, IPv6', 'redirect', 'busybox', 'wget', '-qO-', 'http://[::1]:8080/'],
  ['socat', 'redirect', 'sh', '-c', "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | socat -t 5 - TCP:127.0.0.1:8080"],
  ["Go's net, of docker", 'redirect', 'sh', '-c', 'docker -H tcp://localhost:8080 version 2>&1; echo hello'],
  ['Python', 'redirect', ...python(V4)],
  ['Python, IPv6', 'redirect', ...python(V6, ON_V6)],
  ['an IPv6 socket that names IPv4', 'redirect', ...python(V6, "('::ffff:127.0.0.1', 8080)")],
  ['another address of loopback', 'redirect', ...python(V4, "('127.9.8.7', 8080)")],
  ['a connect that does not wait', 'redirect', ...python(V4, undefined, NON_BLOCKING)],
  ['fast open', 'redirect', ...python(V4, undefined, FAST_OPEN)],
  ['bound to a port', 'redirect', ...python(`${V4}; s.bind(('', 0))`)],
  ['bound to 127.0.0.1', 'proxy', ...python(`${V4}; s.bind(('127.0.0.1', 0))`)],
  ['bound to ::1', 'proxy', ...python(`${V6}; s.bind(('::1', 0))`, ON_V6)],
  ['bound to lo', 'proxy', ...python(`${V4}; s.setsockopt(socket.SOL_SOCKET, 25, b'lo')`)],
  ['for IPv6 alone', 'proxy', ...python(`${V6}; s.setsockopt(41, socket.IPV6_V6ONLY, 1)`, ON_V6)],
  ['MPTCP', 'proxy', ...python('s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)')],
]

t.test('every client is answered, and its peer is whom it asked for', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  await scene.network('front', 10).add(scene.get('web'))
  scene.get('web').serveHttp(8000, 'hello')
  await tsnet.run('publish', '--mode', 'redirect', '8080:8000', 'web')
  const counts = async () => {
    const [port] = await tsnet.ports()
    return { redirect: port?.redirected?.connections ?? 0, proxy: port?.counters?.accepted ?? 0 }
  }
  let before = await counts()
  for (const [name, by, ...command] of CLIENTS) {
    const { stdout } = await scene.host.run(...(command as [string, ...string[]]))
    t.match(stdout, 'hello', name)
    if (command[0] === 'python3')
      t.match(stdout, /^\('(127\.|::1|::ffff:127\.).*', 8080\)/, `${name}: the peer`)
    const after = await counts()
    const other = by === 'proxy' ? 'redirect' : 'proxy'
    t.ok(after[by] > before[by], `${name}: by ${by}`)
    t.equal(after[other], before[other], `${name}: not by ${other}`)
    before = after
  }
})
