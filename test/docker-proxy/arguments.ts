import t from 'tap'
import { readArguments, usage } from '../../src/docker-proxy/arguments.ts'

const asked = '-proto tcp -host-ip 127.0.0.1 -host-port 8080 -container-ip 172.17.0.2 -container-port 80'
const call = {
  protocol: 'tcp',
  hostIp: '127.0.0.1',
  hostPort: 8080,
  containerIp: '172.17.0.2',
  containerPort: 80,
}
const read = (line: string) => readArguments(line === '' ? [] : line.split(' '))

t.test('a flag has one dash or two, and its value in the same word or the next', async t => {
  for (const line of [
    asked,
    asked.replaceAll(' -', ' --'),
    `-proto=udp --proto=sctp ${asked}`,
    asked.replace(/(-[a-z-]+) (\S+)/g, '$1=$2'),
    `${asked} -use-listen-fd=false`,
    `${asked} and more -bogus`,
    `${asked} -- -bogus`,
    `${asked} - -bogus`,
    asked.replace('8080', '0x1f90'),
    asked.replace('8080', '+8080'),
    asked.replace('8080', '017620'),
    asked.replace('8080', '0o17620'),
    asked.replace('8080', '8_080'),
    asked.replace('8080', '0b1_1111_1001_0000'),
  ]) {
    t.same(read(line), { wants: 'port', call, useListenFd: false }, line)
  }
})

t.test("dockerd's own socket is used where it says so", async t => {
  for (const flag of ['-use-listen-fd', '--use-listen-fd', '-use-listen-fd=true', '-use-listen-fd=1'])
    t.same(read(`${flag} ${asked}`), { wants: 'port', call, useListenFd: true }, flag)
})

t.test('addresses are those of either family, printed anew', async t => {
  t.match(read(asked.replace('127.0.0.1', '0:0::0001').replace('172.17.0.2', 'FD00::2')), {
    call: { hostIp: '::1', containerIp: 'fd00::2' },
  })
  t.match(read('-host-port 1 -container-port 2'), { call: { hostIp: '0.0.0.0', containerIp: '0.0.0.0' } })
})

t.test('a link-local host address may name its interface, and nothing else does', async t => {
  const linkLocal = asked.replace('127.0.0.1', 'FE80::1%eth0')
  t.match(read(linkLocal), { call: { hostIp: 'fe80::1%eth0' } })
  t.match(
    read(asked.replace('127.0.0.1', 'fe80::1')),
    { call: { hostIp: 'fe80::1' } },
    "dockerd's socket may be it",
  )
  for (const wrong of ['127.0.0.1%eth0', 'fe80::1%', '::1%eth0'])
    t.throws(() => read(`-host-ip ${wrong}`), { message: /for flag -host-ip: invalid IP address/ })
  t.throws(() => read('-container-ip fe80::1%eth0'), {
    message: /for flag -container-ip: invalid IP address/,
  })
})

t.test('help and version are asked for by several names', async t => {
  for (const flag of ['-h', '--help']) t.same(read(`-proto tcp ${flag} -bogus`), { wants: 'help' })
  for (const flag of ['-v', '--version']) t.same(read(flag), { wants: 'version' })
  for (const name of ['container-ip', 'use-listen-fd', 'version']) t.match(usage(), `  -${name}`)
})

t.test('what only JavaScript takes for a number is none', async t => {
  for (const number of ['1e3', 'ff', '08', '8080n', '1__0', '_1', '0x', '', ' 80'])
    t.throws(
      () => readArguments(['-host-port', number]),
      { message: /for flag -host-port: parse error/ },
      number,
    )
})

t.test("what Go's flags refuse is refused in their words", async t => {
  for (const [line, message] of [
    ['-bogus', 'flag provided but not defined: -bogus'],
    ['-proto', 'flag needs an argument: -proto'],
    ['-host-port x', 'invalid value "x" for flag -host-port: parse error'],
    ['-host-port=', 'invalid value "" for flag -host-port: parse error'],
    ['-host-ip 1.2.3', 'invalid value "1.2.3" for flag -host-ip: invalid IP address: 1.2.3'],
    ['-use-listen-fd=maybe', 'invalid boolean value "maybe" for -use-listen-fd: parse error'],
    ['-=x', 'bad flag syntax: -=x'],
  ] as const) {
    t.throws(() => read(line), { code: 'invalid-environment', message }, line)
  }
})

t.test('what cannot be served is refused in words for dockerd', async t => {
  for (const [line, code, message] of [
    ['-proto foo', 'unsupported-field', 'unsupported protocol foo'],
    [asked.replace('8080', '70000'), 'invalid-config', 'listen tcp4 127.0.0.1:70000: bind: invalid argument'],
    ['-host-ip ::1', 'invalid-config', 'listen tcp6 [::1]:-1: bind: invalid argument'],
    [asked.replace(/80$/, '0'), 'invalid-config', 'container port 0 is not within 1-65535'],
  ] as const) {
    t.throws(() => read(line), { code, message }, line)
  }
})
