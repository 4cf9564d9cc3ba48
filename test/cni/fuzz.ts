/** Whatever comes in, the answer is a result or an error object, and the exit code says which. */

import fc from 'fast-check'
import t from 'tap'
import { callPlugin, configuration } from '../support/cni-call.ts'

const commands = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', 'eth0', 'web', '/run/netns/x', 'IP=10.1.0.2', '\0'),
)
const env = fc.record(
  {
    CNI_COMMAND: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...commands) },
      { weight: 1, arbitrary: text },
    ),
    CNI_CONTAINERID: text,
    CNI_NETNS: text,
    CNI_IFNAME: text,
    CNI_ARGS: text,
    CNI_PATH: text,
    TSNET_NAT: text,
  },
  { requiredKeys: ['CNI_COMMAND'] },
)

const keys = [
  ...[
    'cniVersion',
    'name',
    'type',
    'bridge',
    'mtu',
    'vlan',
    'vlanTrunk',
    'id',
    'minID',
    'maxID',
    'isGateway',
    'ipMasq',
  ],
  ...[
    'ipam',
    'ranges',
    'subnet',
    'rangeStart',
    'gateway',
    'routes',
    'dst',
    'gw',
    'dataDir',
    'dns',
    'nameservers',
    'search',
  ],
  ...[
    'runtimeConfig',
    'portMappings',
    'hostPort',
    'containerPort',
    'protocol',
    'hostIP',
    'ipRanges',
    'ips',
    'mac',
    'aliases',
  ],
  ...[
    'bandwidth',
    'ingressRate',
    'ingressBurst',
    'args',
    'cni',
    'prevResult',
    'interfaces',
    'address',
    'interface',
    'ip4',
    'ip',
  ],
  ...[
    'cni.dev/valid-attachments',
    'containerID',
    'ifname',
    'HostPort',
    '__proto__',
    'constructor',
    'toString',
  ],
]

/** Any value where the configuration expects a certain one. */
const value: fc.Arbitrary<unknown> = fc.letrec(tie => ({
  leaf: fc.oneof(
    fc.constantFrom(
      '10.1.0.0/16',
      '10.1.0.2',
      'fd00::/64',
      'host-local',
      'tcp',
      '02:00:00:00:00:01',
      'nftables',
      '1.1.0',
    ),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.string({ unit: 'binary' }),
  ),
  section: fc.dictionary(fc.constantFrom(...keys), tie('any'), { maxKeys: 6 }),
  any: fc.oneof({ depthSize: 'small' }, tie('leaf'), fc.array(tie('any'), { maxLength: 3 }), tie('section')),
})).section

async function holds(env: Record<string, string>, stdin: unknown): Promise<boolean> {
  const { exitCode, stdout, json } = await callPlugin({ env, stdin })
  if (exitCode === 0) return stdout === '' || typeof json.cniVersion === 'string'
  // 999 would be a fault that nobody foresaw.
  return (
    typeof json.code === 'number' &&
    json.code > 0 &&
    json.code !== 999 &&
    typeof json.msg === 'string' &&
    json.msg !== ''
  )
}

t.test('any environment and any text on stdin get an answer', async () => {
  const stdin = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    value.map(config => JSON.stringify(config)),
  )
  await fc.assert(
    fc.asyncProperty(env, stdin, (env, stdin) => holds(env, stdin)),
    { numRuns: 1000 },
  )
})

t.test('any configuration under a good environment gets an answer', async () => {
  const stdin = value.map(more => configuration(more as object))
  const good = fc.constantFrom(...commands).map(CNI_COMMAND => ({ CNI_COMMAND }))
  await fc.assert(
    fc.asyncProperty(good, stdin, (env, stdin) => holds(env, stdin)),
    { numRuns: 1500 },
  )
})

t.test('one good configuration with one value replaced gets an answer', async () => {
  const full = configuration({
    bridge: 'br0',
    mtu: 1500,
    ipMasq: true,
    dns: { nameservers: ['10.1.0.1'] },
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.1.0.0/16' }]], routes: [{ dst: '0.0.0.0/0' }] },
    runtimeConfig: { portMappings: [{ hostPort: 80, containerPort: 80 }], mac: '02:00:00:00:00:01' },
    prevResult: { interfaces: [{ name: 'a' }], ips: [{ address: '10.1.0.2/16', interface: 0 }] },
  })
  const places = placesOf(full)
  const replaced = fc.tuple(
    fc.constantFrom(...places),
    fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' })),
  )
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...commands), replaced, (CNI_COMMAND, [path, value]) =>
      holds({ CNI_COMMAND }, replace(full, path, value)),
    ),
    { numRuns: 1500 },
  )
})

type Path = (string | number)[]

function placesOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([key, member]) => placesOf(member, [...path, key]))].filter(
    place => place.length > 0,
  )
}

function replace(whole: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value
  const copy = (Array.isArray(whole) ? [...whole] : { ...(whole as object) }) as Record<
    string | number,
    unknown
  >
  copy[key] = replace(copy[key], rest, value)
  return copy
}
