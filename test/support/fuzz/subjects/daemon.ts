/** What comes to the daemon beside its control socket: calls, the environment of who calls, and a predecessor's words. */

import { deepEqual, equal, ok } from 'node:assert/strict'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import { parseEnvironment } from '../../../../src/daemon/calls/caller.ts'
import { hearCall } from '../../../../src/daemon/calls/calls.ts'
import type { Handover } from '../../../../src/daemon/handover.ts'
import { readGreeting, readHandover } from '../../../../src/daemon/handover-words.ts'
import { TsnetError } from '../../../../src/model/errors.ts'
import { ofValue } from '../documents.ts'
import { End, type Said, send } from '../end.ts'
import { type Subject, subjects } from '../fuzz.ts'
import { longTexts, ofText, texts } from '../texts.ts'

const CALLS = [
  '0\n',
  '2\n{}',
  '4\n{"":',
  'command 0\n',
  'command 12\n/bin/x\nports',
  '00000002\nää',
  '9999999\n',
]
const CALL_WORDS = ['command ', '\n', '1', '10000000', ...CALLS]

/** One less than the longest beginning has, and as much as no stdin has. */
const HEAD_MAX = 'command 12345678'.length
const INPUT_MAX = 10_000_000

/** What launcher/launch.c says: however it comes in pieces, it is heard once and whole, or whoever says it is let go. */
const calls: Subject<Said> = {
  name: 'daemon/call',
  weight: 0.3,
  inputs: fc.tuple(
    fc.array(texts(CALLS, CALL_WORDS), { minLength: 1, maxLength: 2 }),
    fc.constantFrom('', '\n'),
    fc.array(fc.nat(20), { maxLength: 6 }),
  ),
  long: length =>
    longTexts(CALLS, CALL_WORDS, length).flatMap((body): Said[] => [
      [[body], '', []],
      [[`${Buffer.byteLength(body)}\n`, body], '', [1, length / 2]],
    ]),
  async holds([all, ending, cuts]) {
    const bytes = Buffer.from(all.map(text => text + ending).join(''))
    const end = new End()
    const heard: [kind: string, stdin: string][] = []
    hearCall(end as unknown as Socket, (kind, stdin) => heard.push([kind, stdin]))
    await send(end, bytes, cuts)
    const [head = '', command, length] = /^(command )?(\d{1,8})\n/.exec(bytes.toString('latin1')) ?? []
    const announced = length === undefined ? undefined : head.length + Number(length)
    if (announced === undefined) equal(heard.length, 0)
    else if (heard.length > 0)
      deepEqual(heard, [[command ? 'command' : 'call', String(bytes.subarray(head.length, announced))]])
    else ok(bytes.length !== announced, 'what was announced has come')
    const isTooMuch = bytes.length > (announced ?? HEAD_MAX) || Number(length) >= INPUT_MAX
    equal(end.destroyed, isTooMuch)
    end.destroy()
  },
}

const HALF = { ended: true, endPassed: false, pending: 'AAEC' }

const HANDOVER = {
  pid: 2 ** 22,
  workers: 2,
  sockets: { '00112233445566aa': [[20, 21], [22]], 'docker-proxy 7': [[23]] },
  connections: [
    { id: '00112233445566aa', worker: 0, choice: 1, port: 2, client: 24, target: 25, up: HALF, down: HALF },
  ],
  sessions: [
    { id: 'x', choice: 0, socket: 1, target: 26, answered: true, idleMs: 0.5, name: [2, -1], control: [28] },
  ],
  placeholders: {
    'docker-proxy 7': {
      protocol: 'udp',
      hostIp: '::',
      hostPort: 0,
      containerIp: '10.0.0.1',
      containerPort: 1,
    },
  },
  control: 3,
  notify: '/run/systemd/notify',
  lock: 4,
  names: true,
  resolvers: { '10.1.0.1': [{ carrier: 'udp', isHost: true, descriptor: 27 }] },
  redirect: { asked: 28, layout: 1 },
}

/** Every number by which a descriptor is copied is one, and what goes to the kernel has its length. */
function useHandover({ pid, sockets, connections, sessions = [], resolvers = {} }: Handover): void {
  ok(pid > 0)
  const doors = Object.values(resolvers).flat()
  const numbers = [
    ...Object.values(sockets).flat(2),
    ...connections.flatMap(({ client, target = 0 }) => [client, target]),
    ...sessions.map(({ target }) => target),
    ...doors.map(({ descriptor }) => descriptor),
  ]
  for (const number of numbers) ok(Number.isInteger(number) && number >= 0 && number < 2 ** 31, `${number}`)
  for (const { up, down } of connections)
    for (const { pending = '' } of [up, down]) Buffer.from(pending, 'base64')
  for (const { name, control } of sessions) {
    new Int32Array(8).set(name)
    new Int32Array(16).set(control)
  }
}

export const ofDaemon = subjects(
  calls,
  ofValue<Handover>('daemon/handover', {
    samples: [HANDOVER, { pid: 1, workers: 1, sockets: {}, connections: [] }],
    refusals: [TsnetError],
    read: readHandover,
    check: value => value === undefined || useHandover(value),
  }),
  ofValue('daemon/greeting', {
    samples: [{ workers: 2, pid: 7 }],
    refusals: [TsnetError],
    read: readGreeting,
  }),
  ofText('daemon/environment', {
    samples: ['CNI_COMMAND=ADD\0CNI_IFNAME=eth0\0PATH=/bin:/usr/bin\0=x=1\0A\0A=1\0A=2\0'],
    tokens: ['\0', '=', 'CNI_COMMAND=', '__proto__=1\0', 'constructor=1\0'],
    refusals: [],
    read: parseEnvironment,
    check: env => {
      for (const value of Object.values(env)) equal(typeof value, 'string')
    },
  }),
)
