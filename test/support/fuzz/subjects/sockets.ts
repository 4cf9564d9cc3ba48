/** What comes over sockets: the control socket from either end, and the environment of a caller. */

import { equal, ok } from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Server, Socket } from 'node:net'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { ControlClient } from '../../../../src/control/client.ts'
import { ControlServer } from '../../../../src/control/server.ts'
import { readSettings, type Settings } from '../../../../src/control/settings.ts'
import { parseEnvironment } from '../../../../src/daemon/caller.ts'
import { handlersOf } from '../../../../src/daemon/requests.ts'
import { TsnetError } from '../../../../src/model/errors.ts'
import { documents, longDocuments, ofDocument } from '../documents.ts'
import { FILE_WEIGHT, viaFile } from '../files.ts'
import { type Subject, subjects } from '../fuzz.ts'
import { ofText } from '../texts.ts'

/** One end of a connection: what is written to it is kept. */
class End extends Duplex {
  said = ''

  setTimeout(): void {}

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.said += chunk
    done()
  }
}

/** Lets all that waits for a turn of the event loop go on. */
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

/** How many turns the streams between a socket and its answer may take. */
const TURNS = 12

const REQUESTS = [
  { id: 1, do: 'publish', with: { ports: ['8080:80'], containers: ['web'] } },
  { id: 2, do: 'unpublish', with: { ids: ['00112233445566aa'] } },
  { id: 3, do: 'choose', with: { names: ['web'], all: true } },
  { id: 4, do: 'ports' },
  { id: 5, do: 'serve', with: { owner: '00112233445566aa' } },
  { id: 6, do: 'watch' },
  {
    id: 7,
    do: 'docker-proxy',
    with: { protocol: 'tcp', hostIp: '::', hostPort: 1, containerIp: '10.0.0.1', containerPort: 1 },
  },
]

/** A daemon that has nothing and does nothing but listen; to put rules back is about this very machine. */
const { reconcile: _, ...handlers } = handlersOf(
  {
    publish: async (request: unknown) => [request],
    published: () => [],
    counted: (all: unknown) => all,
    unpublish: async () => {},
    list: () => [],
    choose: () => [],
  } as never,
  { list: () => [], serve: async () => {}, release: async () => {} } as never,
  { list: () => [], serve: async () => ({}), leave: () => {} } as never,
)

export const lines = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: documents(REQUESTS) },
      { weight: 1, arbitrary: fc.constantFrom('', 'null', '\ufeff', '{"id":1,"do":"ports"}') },
    ),
    { minLength: 1, maxLength: 4 },
  )
  .chain(all =>
    fc.tuple(
      fc.constant(all),
      fc.constantFrom('\n', '\r\n', '\n\n', '\0\n'),
      fc.array(fc.nat(200), { maxLength: 3 }),
    ),
  )

/** Sends a text in pieces. */
async function send(end: End, text: string, cuts: readonly number[]): Promise<void> {
  const bytes = Buffer.from(text)
  let at = 0
  for (const cut of [...cuts, bytes.length]) {
    if (end.destroyed || at >= bytes.length) break
    end.push(bytes.subarray(at, at + Math.max(cut, 1)))
    at += Math.max(cut, 1)
    await turn()
  }
  for (let i = 0; i < TURNS; i++) await turn()
}

export type Said = [lines: string[], ending: string, cuts: number[]]

const server: Subject<Said> = {
  name: 'control/server',
  weight: 0.15,
  inputs: lines as fc.Arbitrary<Said>,
  long: length => longDocuments(REQUESTS, length).map((text): Said => [[text], '\n', []]),
  async holds([all, ending, cuts]) {
    const listener = Object.assign(new EventEmitter(), { maxConnections: 0 })
    const control = new ControlServer(listener as unknown as Server, handlers)
    const end = new End()
    listener.emit('connection', end as unknown as Socket)
    await send(end, all.map(line => line + ending).join(''), cuts)
    for (const line of end.said.split('\n').slice(0, -1)) {
      const { id, error } = JSON.parse(line)
      ok(Number.isSafeInteger(id))
      if (error === undefined) continue
      ok(
        typeof error.message === 'string' && error.message !== '' && error.message.length < 1000,
        `a message of ${error.message.length} characters`,
      )
      ok(error.code !== 'internal', error.message)
    }
    control.close()
    end.destroy()
  },
}

const REPLIES = [
  { id: 1, result: [{ id: 'x' }] },
  { id: 1, error: { code: 'conflict', message: 'port 80 is taken', details: 'by web' } },
  { event: 'published', about: {} },
]

const client: Subject<Said> = {
  name: 'control/client',
  weight: 0.15,
  inputs: fc.tuple(
    fc.array(documents(REPLIES), { minLength: 1, maxLength: 3 }),
    fc.constant('\n'),
    fc.array(fc.nat(200), { maxLength: 2 }),
  ),
  long: length => longDocuments(REPLIES, length).map((text): Said => [[text], '\n', []]),
  async holds([all, ending, cuts]) {
    const end = new End()
    const heard: unknown[] = []
    using asking = new ControlClient(end as unknown as Socket, event => heard.push(event))
    // Nobody is at the other end.
    asking.isStopped = () => false
    const answer = asking.ask('ports').then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    await send(end, all.map(line => line + ending).join(''), cuts)
    asking[Symbol.dispose]()
    const thrown = await answer
    if (thrown !== undefined) {
      ok(thrown instanceof TsnetError, String(thrown))
      equal(typeof thrown.message, 'string')
    }
  },
}

const SETTINGS = {
  workers: 2,
  drainMs: 5000,
  tendMs: 500,
  udpSessionsPerPort: 100,
  udpSessionsPerClient: 10,
  udpIdleMs: 30_000,
  onDemand: false,
  redirect: 'on',
}

export const ofSockets = subjects(
  server,
  client,
  ofText('daemon/environment', {
    samples: ['CNI_COMMAND=ADD\0CNI_IFNAME=eth0\0PATH=/bin:/usr/bin\0=x=1\0A\0A=1\0A=2\0'],
    tokens: ['\0', '=', 'CNI_COMMAND=', '__proto__=1\0', 'constructor=1\0'],
    refusals: [],
    read: parseEnvironment,
    check: env => {
      for (const value of Object.values(env)) equal(typeof value, 'string')
    },
  }),
  ofDocument('control/settings', {
    samples: [SETTINGS, {}],
    refusals: [TsnetError],
    weight: FILE_WEIGHT,
    read: viaFile('tsnetd.json', readSettings),
    check: (settings: Settings) => {
      ok(Number.isInteger(settings.workers) && settings.workers >= 1 && settings.workers <= 64)
      ok(Number.isInteger(settings.tendMs) && settings.tendMs >= 100)
      equal(Object.keys(settings).length, Object.keys(SETTINGS).length)
    },
  }),
)
