/** CNI's environment and stdin, in whatever role: the answer is a result or an error object, and the exit code says which. */

import { equal, ok } from 'node:assert/strict'
import fc from 'fast-check'
import { repeatedKey } from '../../../../src/cni/config/repeated-key.ts'
import { parseJson } from '../../../../src/model/json/json.ts'
import { findSurroundings } from '../../../../src/model/surroundings.ts'
import { callPlugin, configuration } from '../../cni-call.ts'
import { documents, longDocuments } from '../documents.ts'
import { type Subject, subjects } from '../fuzz.ts'
import { damagedTexts, longTexts } from '../texts.ts'

export interface Call {
  env: Record<string, string>
  stdin: string
  calledAs?: string
}

const COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']

/** Roles whose calls do nothing before all is known to be right. */
const ROLES = ['tsnet', 'bridge', 'x']

const RESULT = {
  cniVersion: '1.1.0',
  interfaces: [
    { name: 'br0', mac: '02:00:00:00:00:01' },
    { name: 'eth0', sandbox: '/run/netns/web-1', mtu: 1500 },
  ],
  ips: [{ address: '10.1.0.2/16', gateway: '10.1.0.1', interface: 1 }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }],
  dns: { nameservers: ['10.1.0.1'] },
}

/** Whatever tsnet reads of a configuration. */
export const CONFIGURATIONS = [
  configuration({
    bridge: 'br0',
    mtu: 1500,
    vlan: 5,
    vlanTrunk: [{ minID: 1, maxID: 9 }, { id: 20 }],
    isGateway: true,
    isDefaultGateway: true,
    ipMasq: true,
    ipMasqBackend: 'nftables',
    hairpinMode: false,
    macspoofchk: true,
    dns: { nameservers: ['10.1.0.1'], domain: 'a.test', search: ['b.test'], options: ['ndots:1'] },
    ipam: {
      type: 'host-local',
      ranges: [
        [{ subnet: '10.1.0.0/16', rangeStart: '10.1.0.5', rangeEnd: '10.1.0.9', gateway: '10.1.0.1' }],
        [{ subnet: 'fd00::/64' }],
      ],
      routes: [
        { dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1400, advmss: 1000, priority: 1, table: 254, scope: 0 },
      ],
      dataDir: '/nowhere/networks',
    },
    runtimeConfig: {
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '127.0.0.1' }],
      mac: '02:00:00:00:00:01',
      ips: ['10.1.0.7/16'],
      aliases: ['web'],
      bandwidth: { ingressRate: 1000, ingressBurst: 2000, egressRate: 1000, egressBurst: 2000 },
      ipRanges: [[{ subnet: '10.1.0.0/16' }]],
    },
    args: { cni: { ips: ['10.1.0.7'], mac: '02:00:00:00:00:02' } },
    prevResult: RESULT,
    'cni.dev/valid-attachments': [{ containerID: 'web-1', ifname: 'eth0' }],
  }),
  configuration({
    cniVersion: '0.3.1',
    ipam: { type: 'host-local', subnet: '10.1.0.0/16' },
    runtimeConfig: {},
  }),
  configuration({ ipam: {}, prevResult: { ip4: { ip: '10.1.0.2/16', routes: [{ dst: '10.0.0.0/8' }] } } }),
]

export const ENVIRONMENT = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'web-1',
  CNI_NETNS: '/run/netns/web-1',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: 'IgnoreUnknown=1;IP=10.1.0.7;MAC=02:00:00:00:00:03;K8S_POD_NAME=web',
  CNI_PATH: '/nowhere/bin',
  TSNET_NAT: 'nftables',
}

/** Most of the environment as it should be. */
export const environments: fc.Arbitrary<Record<string, string>> = fc
  .record({
    command: fc.constantFrom(...COMMANDS),
    changes: fc.oneof(
      { weight: 3, arbitrary: fc.constant({}) },
      {
        weight: 2,
        arbitrary: fc.dictionary(
          fc.constantFrom(...Object.keys(ENVIRONMENT)),
          damagedTexts(Object.values(ENVIRONMENT), ['/', '..', ';', '=', ...COMMANDS]),
          { maxKeys: 3, noNullPrototype: true },
        ),
      },
    ),
  })
  .map(({ command, changes }) => ({ ...ENVIRONMENT, CNI_COMMAND: command, ...changes }))

/** How a plugin answers by the spec; 999 would be a fault that nobody foresaw. */
export function checkAnswer({ exitCode, stdout }: { exitCode: number | null; stdout: string }): void {
  if (exitCode === 0 && stdout === '') return
  const json = JSON.parse(stdout) as Record<string, unknown>
  if (exitCode === 0) {
    ok(typeof json.cniVersion === 'string', stdout)
    return
  }
  ok(exitCode === 1, `exit code ${exitCode}`)
  const { code, msg } = json
  ok(typeof code === 'number' && code > 0 && code !== 999, stdout)
  ok(
    typeof msg === 'string' && msg !== '' && msg.length <= 1000,
    `a message of ${String(msg).length} characters: ${String(msg).slice(0, 100)}`,
  )
}

const stdins = documents(CONFIGURATIONS)

const plugin: Subject<Call> = {
  name: 'cni/call',
  weight: 2,
  inputs: fc.record({ env: environments, stdin: stdins, calledAs: fc.constantFrom(...ROLES) }),
  long: length => [
    ...longDocuments(CONFIGURATIONS, length).map(stdin => ({ env: ENVIRONMENT, stdin })),
    ...[
      'CNI_CONTAINERID',
      'CNI_NETNS',
      'CNI_IFNAME',
      'CNI_ARGS',
      'CNI_PATH',
      'TSNET_NAT',
      'CNI_COMMAND',
    ].flatMap(key =>
      longTexts([ENVIRONMENT[key as keyof typeof ENVIRONMENT]], [], length)
        .filter((_, i) => i % 7 === 0)
        .map(value => ({ env: { ...ENVIRONMENT, [key]: value }, stdin: JSON.stringify(CONFIGURATIONS[0]) })),
    ),
  ],
  async holds(call) {
    let said = ''
    const complain = (text: string) => {
      said += text
    }
    findSurroundings(() => ({ env: {}, complain }))
    checkAnswer(await callPlugin(call))
    findSurroundings(() => undefined)
    for (const line of said.split('\n')) ok(line.length <= 400, `a line of ${line.length} characters`)
  },
}

/** As it is asked, of a text that was parsed; one that was printed has no key twice. */
const repeated: Subject<string> = {
  name: 'cni/repeated-key',
  weight: 0.5,
  inputs: stdins,
  // As long as stdin may be.
  long: length => [
    ...longDocuments([{ sysctl: { a: '1' } }], length),
    JSON.stringify('x'.repeat(length * 190)),
  ],
  holds(text) {
    let printed: string
    try {
      printed = JSON.stringify(parseJson(text).value)
    } catch {
      return
    }
    ok(['undefined', 'string'].includes(typeof repeatedKey(text, 'sysctl')))
    equal(repeatedKey(printed, 'sysctl'), undefined)
  },
}

export const ofCni = subjects(plugin, repeated)
