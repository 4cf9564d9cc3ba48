/**
 * What CNI 1.1.0 asks of a plugin and can be seen without a kernel; test/netns/cni-*.ts sees the rest.
 * The number in a name is the section of the spec's text, "Section 2" being the execution protocol.
 */

import t from 'tap'
import { TsnetError } from '../../src/model/errors.ts'
import { versions } from '../../src/runtime/cni-versions.ts'
import { attachmentOf, callPlugin, configuration, environment } from '../support/cni-call.ts'

const fail = (code: ConstructorParameters<typeof TsnetError>[0], message: string) => async () => {
  throw new TsnetError(code, message)
}

const previous = {
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/web-1' }],
  ips: [{ address: '10.1.0.2/16' }],
}

t.test('section 2: the result goes to stdout as JSON, and the exit code is 0', async t => {
  const { exitCode, stdout } = await callPlugin()
  t.equal(exitCode, 0)
  t.match(JSON.parse(stdout), { cniVersion: '1.1.0' })
})

t.test('section 2: an error goes to stdout as JSON, and the exit code is not 0', async t => {
  const { exitCode, stdout } = await callPlugin({ operations: { attach: fail('kernel', 'no veth') } })
  t.equal(exitCode, 1)
  t.same(JSON.parse(stdout), { cniVersion: '1.1.0', code: 103, msg: 'no veth' })
})

t.test('section 2, parameters: a missing variable is error 4, naming all that are missing', async t => {
  for (const [CNI_COMMAND, names] of [
    ['ADD', 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME'],
    ['CHECK', 'CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME'],
    ['DEL', 'CNI_CONTAINERID,CNI_IFNAME'],
  ] as const) {
    const env = { CNI_COMMAND, CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '' }
    const { json, asked } = await callPlugin({ env })
    t.match(json, { code: 4, msg: `required env variables [${names}] missing` })
    t.same(asked, [])
  }
})

t.test('section 2, parameters: a container id starts with a letter or digit, else error 4', async t => {
  for (const CNI_CONTAINERID of ['-a', '../a', 'a/b', 'a b', 'x'.repeat(129)]) {
    t.match((await callPlugin({ env: { CNI_CONTAINERID } })).json, { code: 4, msg: /^CNI_CONTAINERID: / })
  }
})

t.test(
  'section 2, parameters: an interface name is one that the kernel takes as it is, else error 4',
  async t => {
    for (const CNI_IFNAME of ['.', '..', 'a/b', 'a:b', 'a b', 'x'.repeat(16), 'x%d', '-h']) {
      t.match((await callPlugin({ env: { CNI_IFNAME } })).json, { code: 4, msg: /^CNI_IFNAME: / })
    }
  },
)

t.test('section 2, parameters: an unknown command is error 4', async t => {
  t.match((await callPlugin({ env: { CNI_COMMAND: 'UPDATE' } })).json, {
    code: 4,
    msg: 'unknown CNI_COMMAND: UPDATE',
  })
})

t.test('section 2, parameters: the environment is judged before stdin is read', async t => {
  t.match((await callPlugin({ env: { CNI_IFNAME: 'a/b' }, stdin: '{' })).json, { code: 4 })
})

t.test('section 2: of several faults the first in the order JSON, name, version, keys is told', async t => {
  t.match((await callPlugin({ stdin: '{"name":' })).json, { code: 6 })
  t.match((await callPlugin({ stdin: { name: '/', cniVersion: '9.0.0', mtu: 'x' } })).json, {
    code: 7,
    msg: /^name: /,
  })
  t.match((await callPlugin({ stdin: configuration({ cniVersion: '9.0.0', mtu: 'x' }) })).json, { code: 1 })
  t.match((await callPlugin({ stdin: configuration({ mtu: 'x' }) })).json, { code: 7, msg: /^mtu: / })
})

t.test('section 1: a version that is not supported is error 1, with those that are', async t => {
  t.match((await callPlugin({ stdin: configuration({ cniVersion: '9.0.0' }) })).json, {
    code: 1,
    msg: 'incompatible CNI versions',
    details: `cniVersion: config is "9.0.0", plugin supports ${JSON.stringify(versions)}`,
  })
})

t.test('section 1: a configuration without a version is of the first one', async t => {
  t.match((await callPlugin({ stdin: configuration({ cniVersion: undefined }) })).json, {
    cniVersion: '0.1.0',
    ip4: { ip: '10.1.0.2/16' },
  })
})

t.test('section 1: a network has a name of letters, digits, "_", "." and "-", else error 7', async t => {
  for (const name of [undefined, '', '-a', '.tsnet', 'a/b', '../../etc', 5, 'x'.repeat(129)]) {
    t.match(
      (await callPlugin({ stdin: configuration({ name }) })).json,
      { code: 7, msg: /^name/ },
      String(name),
    )
  }
})

t.test('section 1: keys that the plugin does not know, and capabilities, are ignored', async t => {
  const stdin = configuration({
    capabilities: { portMappings: true, foo: true },
    foo: { bar: 1 },
    keyA: 'some',
  })
  t.equal((await callPlugin({ stdin })).exitCode, 0)
})

t.test('section 2, ADD: the result is of the version of the configuration', async t => {
  for (const cniVersion of versions) {
    t.match((await callPlugin({ stdin: configuration({ cniVersion }) })).json, { cniVersion })
  }
})

t.test(
  'section 2, ADD: interfaces on the host are listed, and that of the container has CNI_NETNS as sandbox',
  async t => {
    t.match((await callPlugin({ env: { CNI_NETNS: '/run/netns/../netns/web-1' } })).json, {
      interfaces: [
        { name: 'cni0', sandbox: undefined },
        { name: 'veth1', sandbox: undefined },
        { name: 'eth0', sandbox: '/run/netns/../netns/web-1' },
      ],
    })
  },
)

t.test(
  'section 2, ADD: a prevResult is passed on with our additions, in each version that has one',
  async t => {
    const prevResult = {
      interfaces: [{ name: 'd0' }],
      ips: [{ version: '4', address: '192.0.2.1/24', interface: 0 }],
    }
    for (const cniVersion of versions.slice(2)) {
      const { json } = await callPlugin({ stdin: configuration({ cniVersion, prevResult }) })
      t.match(json, { interfaces: [{ name: 'd0' }, { name: 'cni0' }, { name: 'veth1' }, { name: 'eth0' }] })
      t.match(json, {
        ips: [
          { address: '192.0.2.1/24', interface: 0 },
          { address: '10.1.0.2/16', interface: 3 },
        ],
      })
    }
  },
)

t.test('section 2, ADD: what cannot be told in the version is not made, or taken down again', async t => {
  const cniVersion = '0.2.0'
  const known = await callPlugin({ stdin: configuration({ cniVersion, ipam: {} }) })
  t.match(known.json, { code: 1, msg: 'cannot convert: no valid IP addresses' })
  t.same(known.asked, [])
  const late = await callPlugin({
    stdin: configuration({ cniVersion, ipam: { type: 'dhcp' } }),
    operations: { attach: async request => attachmentOf(request, { leases: [] }) },
  })
  t.match(late.json, { code: 1, msg: 'cannot convert: no valid IP addresses' })
  t.same(
    late.asked.map(({ operation }) => operation),
    ['attach', 'detach'],
  )
})

t.test('section 2, DEL: nothing but the names is needed', async t => {
  const env = { CNI_COMMAND: 'DEL', CNI_NETNS: undefined, CNI_PATH: undefined }
  const { exitCode, stdout, asked } = await callPlugin({ env, stdin: { name: 'front' } })
  t.equal(exitCode, 0)
  t.equal(stdout, '')
  t.same(asked, [
    {
      operation: 'detach',
      arguments: [{ network: 'front', containerId: 'web-1', ifname: 'eth0' }, { ipam: { kind: 'none' } }],
    },
  ])
})

t.test(
  'section 2, DEL: a configuration that became invalid since ADD does not keep the container',
  async t => {
    for (const broken of [
      { bridge: 7 },
      { ipam: { type: 'host-local' } },
      { ipam: 'x' },
      { runtimeConfig: 'x' },
      { prevResult: 5 },
    ]) {
      const { exitCode, asked } = await callPlugin({
        env: { CNI_COMMAND: 'DEL', CNI_ARGS: 'x' },
        stdin: configuration(broken),
      })
      t.equal(exitCode, 0, JSON.stringify(broken))
      t.equal(asked[0]?.operation, 'detach')
    }
  },
)

t.test('section 2, DEL: the namespace and the IPAM are passed on where they are known', async t => {
  const { asked } = await callPlugin({ env: { CNI_COMMAND: 'DEL' } })
  t.match(asked[0]?.arguments[1], { netns: environment.CNI_NETNS, ipam: { kind: 'host-local' } })
})

t.test('section 2, CHECK: there is a prevResult, else error 7', async t => {
  const { json, asked } = await callPlugin({ env: { CNI_COMMAND: 'CHECK' } })
  t.match(json, { code: 7, msg: /^prevResult is missing/ })
  t.same(asked, [])
})

t.test('section 2, CHECK: says nothing when all is well, and an error when it is not', async t => {
  const call = { env: { CNI_COMMAND: 'CHECK' }, stdin: configuration({ prevResult: previous }) }
  const good = await callPlugin(call)
  t.match(good, { exitCode: 0, stdout: '' })
  t.match(good.asked[0]?.arguments[1], { ips: [{ address: '10.1.0.2/16' }], raw: previous })
  t.match(await callPlugin({ ...call, operations: { check: fail('mismatch', 'eth0 is gone') } }), {
    exitCode: 1,
    json: { code: 102, msg: 'eth0 is gone' },
  })
})

t.test('section 2: CHECK is there since 0.4.0, GC and STATUS since 1.1.0, else error 1', async t => {
  const since = { CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' }
  for (const [CNI_COMMAND, first] of Object.entries(since)) {
    for (const cniVersion of versions) {
      const stdin = configuration({ cniVersion, prevResult: previous })
      const { exitCode, json } = await callPlugin({ env: { CNI_COMMAND }, stdin })
      if (cniVersion >= first) t.equal(exitCode, 0, `${CNI_COMMAND} in ${cniVersion}`)
      else t.match(json, { code: 1, msg: `config version does not allow ${CNI_COMMAND}` })
    }
  }
})

t.test('section 2, GC: all attachments but the valid ones are collected', async t => {
  const collected = async (more: object) => {
    const { asked, stdout } = await callPlugin({ env: { CNI_COMMAND: 'GC' }, stdin: configuration(more) })
    t.equal(stdout, '')
    return asked[0]?.arguments[1]
  }
  const list = [
    { containerID: 'a', ifname: 'eth0' },
    { ContainerID: 'b', IfName: 'eth1' },
  ]
  const valid = [
    { containerId: 'a', ifname: 'eth0' },
    { containerId: 'b', ifname: 'eth1' },
  ]
  t.same(await collected({ 'cni.dev/valid-attachments': list }), valid)
  t.same(await collected({ 'cni.dev/attachments': list }), valid, 'the name it had first')
  t.same(await collected({ 'cni.dev/valid-attachments': [], 'cni.dev/attachments': list }), [])
  t.same(await collected({ 'cni.dev/valid-attachments': null, 'cni.dev/attachments': list }), valid)
})

t.test('section 2, GC: an empty list is not the same as none', async t => {
  const collected = async (more: object) =>
    (await callPlugin({ env: { CNI_COMMAND: 'GC' }, stdin: configuration(more) })).asked[0]?.arguments[1]
  t.same(await collected({ 'cni.dev/valid-attachments': [] }), [])
  t.equal(await collected({ 'cni.dev/valid-attachments': null }), undefined)
  t.equal(await collected({}), undefined)
})

t.test('section 2, GC: a list that cannot be read collects nothing', async t => {
  for (const list of [
    'all',
    {},
    [5],
    [{}],
    [{ containerID: 'a' }],
    [{ containerID: 'a', ifname: 0 }],
    [null],
  ]) {
    const stdin = configuration({ 'cni.dev/valid-attachments': list })
    const { json, asked } = await callPlugin({ env: { CNI_COMMAND: 'GC' }, stdin })
    t.match(json, { code: 7, msg: /^cni\.dev\/valid-attachments/ }, JSON.stringify(list))
    t.same(asked, [])
  }
})

t.test('section 2, GC: all failures are reported together', async t => {
  const collect = async () => {
    throw new AggregateError([new TsnetError('kernel', 'one'), new TsnetError('io', 'two')])
  }
  t.match((await callPlugin({ env: { CNI_COMMAND: 'GC' }, operations: { collect } })).json, {
    code: 103,
    msg: 'one; two',
  })
})

t.test(
  'section 2, STATUS: says nothing when ADD would work, and error 50 or 51 when it would not',
  async t => {
    const env = { CNI_COMMAND: 'STATUS' }
    t.match(await callPlugin({ env }), { exitCode: 0, stdout: '', asked: [{ operation: 'status' }] })
    t.match((await callPlugin({ env, operations: { status: fail('exhausted', 'full') } })).json, {
      code: 50,
      msg: 'full',
    })
    t.match((await callPlugin({ env, operations: { status: fail('mismatch', 'down') } })).json, { code: 51 })
  },
)

t.test(
  'section 2, VERSION: echoes the version of the question, and lists all that are supported',
  async t => {
    const ask = async (stdin: unknown) => (await callPlugin({ env: { CNI_COMMAND: 'VERSION' }, stdin })).json
    for (const cniVersion of [...versions, '9.0.0']) {
      t.same(await ask({ cniVersion }), { cniVersion, supportedVersions: versions })
    }
    for (const stdin of ['', '{', '[]', '{"cniVersion": 5}']) {
      t.same(await ask(stdin), { cniVersion: '1.1.0', supportedVersions: versions }, stdin)
    }
  },
)

t.test('section 2, VERSION: needs no other variable and no name', async t => {
  const env = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: '/', CNI_PATH: undefined }
  const { exitCode, asked } = await callPlugin({
    env: { ...env, CNI_COMMAND: 'VERSION' },
    stdin: '{}',
    calledAs: 'x',
  })
  t.equal(exitCode, 0)
  t.same(asked, [])
})

t.test('section 5, error: has version, code and message, and no other keys but details', async t => {
  for (const stdin of [
    '',
    '{',
    configuration({ cniVersion: '0.3.1', mtu: 'x' }),
    configuration({ cniVersion: '9' }),
  ]) {
    const { json } = await callPlugin({ stdin })
    t.type(json.cniVersion, 'string')
    t.type(json.code, 'number')
    t.type(json.msg, 'string')
    t.same(
      Object.keys(json).filter(key => !['cniVersion', 'code', 'msg', 'details'].includes(key)),
      [],
    )
  }
  t.match((await callPlugin({ stdin: configuration({ cniVersion: '0.3.1', mtu: 'x' }) })).json, {
    cniVersion: '0.3.1',
  })
})

t.test('section 5, error: 2 names the key and the value that are not supported', async t => {
  const portMappings = [{ hostPort: 80, containerPort: 80, protocol: 'icmp' }]
  t.match((await callPlugin({ stdin: configuration({ runtimeConfig: { portMappings } }) })).json, {
    code: 2,
    msg: 'runtimeConfig.portMappings[0].protocol: "icmp" is not one of tcp, udp, sctp',
  })
})

t.test(
  'conventions: metadata in args.cni and CNI_ARGS is used, and what is unknown there is no error',
  async t => {
    const args = { cni: { ips: ['10.1.0.9'], labels: [{ key: 'app', value: 'web' }], unknown: true } }
    const { asked } = await callPlugin({
      env: { CNI_ARGS: 'IgnoreUnknown=1;FOO=bar' },
      stdin: configuration({ args }),
    })
    t.match(asked[0]?.arguments[0], { requestedIps: ['10.1.0.9'] })
  },
)

t.test('CNI_NETNS_OVERRIDE reaches the check of the namespace', async t => {
  for (const CNI_COMMAND of ['ADD', 'CHECK']) {
    const stdin = configuration({ prevResult: previous })
    const { asked } = await callPlugin({ env: { CNI_COMMAND, CNI_NETNS_OVERRIDE: 'true' }, stdin })
    t.match(asked[0]?.arguments.at(-1), { allowOwnNetns: true })
  }
})
