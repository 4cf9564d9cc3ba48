/** What people and programs write in a word or a line: addresses, ports, names, durations, arguments. */

import { deepEqual, equal, ok } from 'node:assert/strict'
import fc from 'fast-check'
import { readArgs } from '../../../../src/cni/config/args.ts'
import { readArguments } from '../../../../src/docker-proxy/arguments.ts'
import { type Ip, parseCidr, parseIp } from '../../../../src/model/address/address.ts'
import { hostIpProblem, tryParseHostIp } from '../../../../src/model/address/host.ts'
import { parseDuration } from '../../../../src/model/duration.ts'
import { TsnetError } from '../../../../src/model/errors.ts'
import { parseInterfaceName } from '../../../../src/model/interface-name.ts'
import { readProxyCall } from '../../../../src/model/proxy-call.ts'
import { parsePortSpec } from '../../../../src/model/publication/port-spec.ts'
import { parsePublishRequest } from '../../../../src/model/publication/request.ts'
import { parseReference } from '../../../../src/runtime/reference.ts'
import { sysctlNames } from '../../../../src/tuning/sysctl-name.ts'
import { ofValue } from '../documents.ts'
import { type Subject, subjects } from '../fuzz.ts'
import { outcomeOf } from '../promises.ts'
import { longTexts, ofText, texts } from '../texts.ts'

const refusals = [TsnetError]

const ADDRESSES = [
  '10.0.0.1',
  '127.0.0.1',
  '0.0.0.0',
  '::',
  '::1',
  'fe80::1',
  '2001:db8::192.0.2.1',
  '::ffff:10.0.0.1',
  'fe80::1%eth0',
]
const ADDRESS_WORDS = [
  '::',
  ':',
  '.',
  '255',
  '256',
  'ffff',
  '10.0.0.1',
  '%eth0',
  '/24',
  '/0',
  '/129',
  '01',
  '[',
  ']',
]

const isPort = (port: number): void =>
  ok(Number.isInteger(port) && port >= 1 && port <= 65_535, `port ${port}`)

/** Flags of docker-proxy. */
export const FLAGS = [
  '-proto',
  '-host-ip',
  '-host-port',
  '-container-ip',
  '-container-port',
  '-use-listen-fd',
  '-v',
  '--version',
  '-h',
  '--help',
  '--',
  '-',
]
/** What may stand behind one. */
export const VALUES = [
  'tcp',
  'udp',
  'sctp',
  '127.0.0.1',
  '::1',
  'fe80::1%eth0',
  '8080',
  '0',
  '-1',
  '65536',
  '0x50',
  '0b11',
  '0o17',
  '010',
  '1_000',
  '+8',
  'true',
  'f',
  '1e3',
]

/** A number as Go's strconv.ParseInt(…, 0, 64) takes it. */
const GO_NUMBER =
  /^[+-]?(?:0[xX](?:_?[\da-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?\d)*)$/

const dockerProxy: Subject<string[]> = {
  name: 'docker-proxy/arguments',
  weight: 2,
  inputs: fc.oneof(
    fc.array(
      fc.oneof(
        fc.constantFrom(...FLAGS, ...VALUES),
        fc
          .tuple(fc.constantFrom(...FLAGS), fc.constantFrom('=', ' '), fc.constantFrom(...VALUES))
          .map(parts => parts.join('')),
        texts([...FLAGS, ...VALUES]),
      ),
      { maxLength: 12 },
    ),
    fc
      .tuple(fc.constantFrom(...FLAGS.slice(0, 5)), fc.constantFrom(...VALUES))
      .map(more => [
        '-proto',
        'tcp',
        '-host-ip',
        '0.0.0.0',
        '-host-port',
        '1',
        '-container-ip',
        '10.0.0.2',
        '-container-port',
        '2',
        ...more,
      ]),
  ),
  long: length => [
    ...longTexts(VALUES, [], length).map(text => ['-host-port', text]),
    ...longTexts(FLAGS, [], length).map(text => [text]),
    new Array(length / 8).fill('-v=false'),
  ],
  holds(args) {
    const outcome = outcomeOf(() => readArguments(args), refusals)
    if (!('value' in outcome) || outcome.value.wants !== 'port') return
    const { call } = outcome.value
    isPort(call.containerPort)
    ok(call.hostPort >= 0 && call.hostPort <= 65_535)
  },
}

/** One number: taken where Go takes it, and for the same. */
const goNumber = ofText('docker-proxy/number', {
  samples: VALUES,
  tokens: ['0x', '0b', '0o', '_', '+', '-', '0', '7', 'e', 'f'],
  refusals,
  read: text => readArguments(['-container-port', '1', '-host-port', text]),
  check: (read, text) => {
    ok(GO_NUMBER.test(text), `${text} is no number to Go`)
    const digits = text.replaceAll('_', '').replace(/^\+/, '')
    const isOctal = /^-?0\d/.test(digits)
    if (read.wants === 'port')
      equal(read.call.hostPort, (isOctal ? Number.parseInt(digits, 8) : Number(digits)) + 0)
  },
})

const REQUEST = {
  ports: ['8080:80', '53:53/udp'],
  containers: ['docker:web', 'db'],
  mode: 'auto',
  via: 'bridge',
  proxyProtocol: 'v2',
  allow: ['10.0.0.0/8', '::1'],
  deny: ['10.1.0.1'],
  maxConnections: '10',
  udpSessions: '5',
  udpIdle: '30s',
  expires: '1h30m',
  wait: '1s',
  drain: '0s',
  replace: true,
}

export const SPECS = [
  '8080:80',
  '127.0.0.1:8080:80/tcp',
  '[::1]:1-3:1-3/udp',
  '::1:80:80',
  '80',
  ':80',
  '127.0.0.1::80',
  '8080:/run/a.sock',
  '[fe80::1%eth0]:1:1/sctp',
  '0:80',
  '65535:65535',
]

export const ofWords = subjects(
  ofText('model/ip', {
    samples: ADDRESSES,
    tokens: ADDRESS_WORDS,
    refusals,
    read: parseIp,
    check: ip => equal(parseIp(ip), ip, 'what is printed is read again as the same'),
  }),
  ofText('model/cidr', {
    samples: ADDRESSES.map(ip => `${ip}/24`),
    tokens: ADDRESS_WORDS,
    refusals,
    read: text => parseCidr(text),
    check: cidr => equal(parseCidr(cidr), cidr),
  }),
  ofText('model/host-ip', {
    samples: ADDRESSES,
    tokens: ADDRESS_WORDS,
    refusals: [],
    read: text => ({ ip: tryParseHostIp(text), problem: hostIpProblem(text) }),
    check: ({ ip, problem }) => {
      ok(problem === undefined ? ip !== undefined : problem.length < 200)
      if (ip !== undefined) equal(tryParseHostIp(ip), ip)
    },
  }),
  ofText('model/port-spec', {
    samples: SPECS,
    tokens: [...ADDRESS_WORDS, '/tcp', '/udp', '-', '8080', '/run/x.sock'],
    refusals,
    weight: 3,
    read: parsePortSpec,
    check: ({ host, container }) => {
      for (const range of [host, 'first' in container ? container : undefined]) {
        if (range === undefined) continue
        isPort(range.first)
        isPort(range.first + range.count - 1)
      }
    },
  }),
  ofText('model/duration', {
    samples: ['500ms', '1h30m', '2d', '0s'],
    tokens: ['ms', 's', 'm', 'h', 'd', '24', '99999999999'],
    refusals,
    read: text => parseDuration(text, '--wait'),
    check: ms => ok(ms >= 0 && ms < 2 ** 31),
  }),
  ofText('model/interface-name', {
    samples: ['eth0', 'br-front', 'a.b_c'],
    refusals,
    read: text => parseInterfaceName(text, 'bridge'),
    check: (name, text) => ok(name === text && /^[\w.-]{1,15}$/.test(name)),
  }),
  ofText('runtime/reference', {
    samples: [
      'web',
      'docker:web',
      'containerd:k8s.io/4f2a',
      'pid:812',
      'netns:web',
      'netns:/run/netns/web',
      'cri:shop/web',
    ],
    tokens: ['docker:', 'dokcer:', 'pid:', 'netns:', '/', '..', ':'],
    refusals,
    read: parseReference,
    check: ({ name }) => ok(name.length > 0 && !name.includes('\0')),
  }),
  ofText('tuning/sysctl-name', {
    samples: ['net.ipv4.conf.IFNAME.arp_filter', 'net/ipv4/conf/eth0.1/arp_filter'],
    tokens: ['net', '.', '/', '..', 'IFNAME'],
    refusals,
    read: text => sysctlNames(text, 'eth0'),
    check: names => {
      for (const name of names) ok(/^net\/[^\0]+$/.test(name) && !name.split('/').includes('..'), name)
    },
  }),
  ofText('cni/args', {
    samples: [
      'IgnoreUnknown=1;IP=10.1.0.2,fd00::1;MAC=02:00:00:00:00:01',
      'K8S_POD_NAME=web;K8S_POD_NAMESPACE=shop',
    ],
    tokens: ['IgnoreUnknown=', 'IP=', ';', '=', ',', 'true', '__proto__=1'],
    refusals,
    read: text => readArgs(text),
  }),
  ofValue('model/publish-request', {
    samples: [REQUEST, { ports: [], containers: ['web'] }],
    refusals,
    read: words => parsePublishRequest(words, 0),
    check: request => {
      if (request === undefined) return
      for (const ms of [request.waitMs, request.drainMs, request.expiresAt ?? 0])
        ok(Number.isInteger(ms) && ms >= 0)
      deepEqual(
        request.allow.map(each => parseCidr(each)),
        request.allow,
      )
    },
  }),
  ofValue('model/proxy-call', {
    samples: [
      { protocol: 'tcp', hostIp: '0.0.0.0', hostPort: 8080, containerIp: '10.0.0.2', containerPort: 80 },
    ],
    refusals,
    read: readProxyCall,
    check: call => {
      if (call === undefined) return
      isPort(call.containerPort)
      equal(parseIp(call.containerIp), call.containerIp as Ip)
    },
  }),
  dockerProxy,
  goNumber,
)
