import t from 'tap'
import { checkInterface, readCall } from '../../src/cni/request.ts'
import { environment } from '../support/cni-call.ts'

const without = (...names: string[]) =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !names.includes(name)))

const all = ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH']

t.test('the environment of a call is read', async t => {
  t.same(readCall({ ...environment, CNI_ARGS: 'A=b', CNI_PATH: '/a::/b:' }), {
    command: 'ADD',
    containerId: 'web-1',
    netns: '/run/netns/web-1',
    ifname: 'eth0',
    args: 'A=b',
    path: ['/a', '/b'],
    allowOwnNetns: false,
  })
})

t.test('all missing variables are named at once', async t => {
  const missing: [string, string][] = [
    ['ADD', 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME'],
    ['CHECK', 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME'],
    ['DEL', 'CNI_CONTAINERID,CNI_IFNAME'],
  ]
  for (const [CNI_COMMAND, names] of missing) {
    t.throws(() => readCall({ CNI_COMMAND }), {
      code: 'invalid-environment',
      message: `required env variables [${names}] missing`,
    })
  }
  t.throws(() => readCall({ ...environment, CNI_IFNAME: '' }), /\[CNI_IFNAME\] missing/)
})

t.test('each command asks only for what it needs', async t => {
  t.doesNotThrow(() => readCall({ ...without('CNI_NETNS', 'CNI_PATH'), CNI_COMMAND: 'DEL' }))
  t.doesNotThrow(() => readCall({ ...without('CNI_PATH'), CNI_COMMAND: 'ADD' }))
  for (const CNI_COMMAND of ['GC', 'STATUS', 'VERSION']) {
    t.doesNotThrow(() => readCall({ ...without(...all), CNI_COMMAND }), CNI_COMMAND)
  }
})

t.test('what a command does not need is not judged', async t => {
  for (const CNI_COMMAND of ['GC', 'STATUS', 'VERSION']) {
    const call = readCall({ CNI_COMMAND, CNI_CONTAINERID: '../..', CNI_IFNAME: 'a/b', CNI_NETNS: 'x' })
    t.match(call, { containerId: '', ifname: '', netns: '' }, CNI_COMMAND)
  }
})

t.test('an unknown command is refused by name', async t => {
  for (const CNI_COMMAND of ['UPDATE', 'add', 'constructor', '__proto__', ' ADD']) {
    t.throws(() => readCall({ ...environment, CNI_COMMAND }), {
      code: 'invalid-environment',
      message: `unknown CNI_COMMAND: ${CNI_COMMAND}`,
    })
  }
})

t.test('an interface name that the kernel, a tool or a path would read otherwise is refused', async t => {
  const bad = [
    '-h',
    'a"b;c',
    '$(id)',
    'x%d',
    'a/b',
    'a b',
    'a:b',
    '.',
    '..',
    'all',
    'default',
    'a'.repeat(16),
  ]
  for (const CNI_IFNAME of [...bad, 'ä', 'eth0\n']) {
    t.throws(() => readCall({ ...environment, CNI_IFNAME }), {
      code: 'invalid-environment',
      message: /^CNI_IFNAME: "/,
    })
  }
  for (const CNI_IFNAME of ['eth0', 'net-1', 'a.b_c', 'a'.repeat(15)]) {
    t.equal(readCall({ ...environment, CNI_IFNAME }).ifname, CNI_IFNAME)
  }
})

t.test('lo is for the plugin loopback alone', async t => {
  const call = readCall({ ...environment, CNI_IFNAME: 'lo' })
  checkInterface(call, 'loopback')
  t.throws(() => checkInterface(call, 'bridge'), { message: 'CNI_IFNAME: "lo" is reserved' })
})

t.test('a namespace is an absolute path; DEL takes what there is', async t => {
  for (const CNI_NETNS of ['web', './web', '../web', 'file:///run/netns/web']) {
    t.throws(() => readCall({ ...environment, CNI_NETNS }), {
      code: 'invalid-environment',
      message: /^CNI_NETNS: ".*" is not an absolute path/,
    })
    t.equal(readCall({ ...environment, CNI_COMMAND: 'DEL', CNI_NETNS }).netns, CNI_NETNS)
  }
})

t.test('CNI_NETNS_OVERRIDE allows our own namespace', async t => {
  for (const yes of ['1', 'true', 'True']) {
    t.equal(readCall({ ...environment, CNI_NETNS_OVERRIDE: yes }).allowOwnNetns, true)
  }
  for (const no of ['', '0', 'false', 'yes', undefined]) {
    t.equal(readCall({ ...environment, CNI_NETNS_OVERRIDE: no }).allowOwnNetns, false)
  }
})
