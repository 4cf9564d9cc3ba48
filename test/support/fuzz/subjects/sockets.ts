/** What comes over the control socket, from either end, and its settings. */

import { equal, ok } from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Server, Socket } from 'node:net'
import fc from 'fast-check'
import { ControlClient } from '../../../../src/control/client.ts'
import { ControlServer } from '../../../../src/control/server.ts'
import { readSettings, type Settings } from '../../../../src/control/settings.ts'
import { type Answering, handlersOf } from '../../../../src/daemon/requests.ts'
import { TsnetError } from '../../../../src/model/errors.ts'
import { documents, longDocuments, ofDocument } from '../documents.ts'
import { End, type Said, send } from '../end.ts'
import { FILE_WEIGHT, viaFile } from '../files.ts'
import { type Subject, subjects } from '../fuzz.ts'

const REQUESTS = [
  { id: 1, do: 'publish', with: { ports: ['8080:80'], containers: ['web'] } },
  { id: 2, do: 'unpublish', with: { ids: ['00112233445566aa'] } },
  { id: 3, do: 'choose', with: { names: ['web'], all: true } },
  { id: 4, do: 'ports' },
  { id: 5, do: 'serve', with: { owner: '00112233445566aa' } },
  { id: 6, do: 'watch' },
  { id: 8, do: 'counters' },
  {
    id: 7,
    do: 'docker-proxy',
    with: { protocol: 'tcp', hostIp: '::', hostPort: 1, containerIp: '10.0.0.1', containerPort: 1 },
  },
]

/** A daemon that has nothing and does nothing but listen; to put rules back is about this very machine. */
const { reconcile: _, ...handlers } = handlersOf({
  publisher: {
    publish: async (request: unknown) => [request],
    published: () => [],
    counted: (all: unknown) => all,
    unpublish: async () => {},
    list: () => [],
    choose: () => [],
  },
  attachments: { list: () => [], serve: async () => {}, release: async () => {} },
  placeholders: { list: () => [], serve: async () => ({}), leave: () => {} },
  holder: { serve: async () => {}, release: async () => {}, troubles: async () => [] },
  observing: { observer: { counters: () => ({ at: 0, ports: [], containers: [] }) }, events: {} },
  hostNetworks: {
    list: () => ({ hosts: [], troubles: [] }),
    troubles: () => [],
    of: () => ({ details: async () => ({}), forget: async () => {} }),
  },
} as unknown as Answering)

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
    asking.standstill = () => undefined
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
  subnetPools: [{ base: '10.9.0.0/16', size: 26 }],
  metrics: '127.0.0.1:9808',
}

export const ofSockets = subjects(
  server,
  client,
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
