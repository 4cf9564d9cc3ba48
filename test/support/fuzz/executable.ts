/**
 * Calls of the executables, as runtimes, dockerd and people make them, on a host of the lab with a daemon: each ends soon
 * and as its protocol wants it, the daemon goes on, and once all is taken back the host is as it was.
 *
 *     host    web-1, a namespace; a daemon; rules and files of somebody else; all but its own folders is read only
 */

import { ok } from 'node:assert/strict'
import { connect } from 'node:net'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { diff, type Host, lab, type Snapshot, snapshot } from 'tsnet/lab'
import { waitFor } from '../../../src/lab/wait.ts'
import { Command } from '../daemon.ts'
import { NO_DAEMON } from '../no-daemon.ts'
import { documents } from './documents.ts'
import type { Said } from './end.ts'
import type { Failure } from './run.ts'
import { CONFIGURATIONS, checkAnswer, environments } from './subjects/cni.ts'
import { lines } from './subjects/sockets.ts'
import { FLAGS, SPECS, VALUES } from './subjects/words.ts'
import { texts } from './texts.ts'

export interface Executables {
  tsnet: string
  dockerProxy: string
}

export const OURS: Executables = {
  tsnet: resolve('dist/bin/tsnet'),
  dockerProxy: resolve('dist/drop-in/docker-proxy'),
}

/** One call: words, and for plugins environment and stdin; or lines on the control socket. */
type Call =
  | { kind: 'cni'; env: Record<string, string>; stdin: string }
  | { kind: 'publish' | 'docker-proxy'; words: string[] }
  | { kind: 'control'; said: Said }

/** Longer than any takes, on a machine that does nothing else. */
const WITHIN_MS = 5000

/** docker-proxy serves until it is ended. */
const SERVES = '1'

/** Between two looks at the whole host. */
const BATCH = 20

/** No word of a process has one. */
const word = (text: string): string => text.replaceAll('\0', '')
const words = (list: fc.Arbitrary<string[]>) => list.map(all => all.map(word))

const configurations = documents(CONFIGURATIONS).map(text =>
  text.replaceAll('/nowhere/networks', '/var/lib/cni/networks'),
)

const inCni: fc.Arbitrary<Call> = fc
  .tuple(environments, configurations, fc.boolean())
  .map(([env, stdin, isAlone]) => ({
    kind: 'cni',
    stdin,
    env: {
      ...Object.fromEntries(Object.entries(env).map(([key, value]) => [key, word(value)])),
      // Half of them without the daemon.
      ...(isAlone && { TSNET_RUN_DIR: '/run/alone' }),
    },
  }))

const OPTIONS = [
  '--json',
  '--mode',
  'auto',
  '--via',
  'bridge',
  '--wait',
  '1s',
  '--allow',
  '10.0.0.0/8',
  '--max-connections',
  '5',
  '--expires',
  '1m',
  '-p',
  '--',
]
const inPublish: fc.Arbitrary<Call> = words(
  fc
    .tuple(
      fc.array(fc.constantFrom(...OPTIONS), { maxLength: 3 }),
      fc.array(texts(SPECS), { minLength: 1, maxLength: 2 }),
      fc.oneof(
        fc.constantFrom('netns:web-1', 'web', 'netns:/run/netns/web-1', 'pid:1'),
        texts(['netns:web-1']),
      ),
    )
    .map(([options, specs, container]) => [...options, ...specs, container]),
).map(all => ({ kind: 'publish', words: all }))

const inDockerProxy: fc.Arbitrary<Call> = words(
  fc.array(fc.oneof(fc.constantFrom(...FLAGS, ...VALUES), texts([...FLAGS, ...VALUES])), { maxLength: 10 }),
).map(all => ({ kind: 'docker-proxy', words: all }))

const inControl: fc.Arbitrary<Call> = lines.map(said => ({ kind: 'control', said }))

const calls = fc.oneof(
  { weight: 4, arbitrary: inCni },
  { weight: 2, arbitrary: inPublish },
  { weight: 1, arbitrary: inDockerProxy },
  { weight: 3, arbitrary: inControl },
)

export interface Plan {
  seed: number
  calls: number
  executables?: Executables
  tell?: (line: string) => void
}

/** @returns the calls that broke a promise */
export async function fuzzExecutables({
  seed,
  calls: count,
  executables = OURS,
  tell = () => {},
}: Plan): Promise<Failure[]> {
  await using world = await lab()
  const host = await world.host('host')
  await host.namespace('web-1')
  await host.run(
    'nft',
    'add table ip victim { chain c { type filter hook input priority 0; tcp dport 1 accept; }; }',
  )
  await host.run(
    'sh',
    '-c',
    'mkdir -p /var/lib/cni/networks/other; echo x >/var/lib/cni/networks/other/10.10.0.9',
  )
  // What a path of a configuration leads to is the machine's.
  await host.run('mount', '-o', 'remount,bind,ro', '/')
  await new Command(host, 'nftables').daemon()
  const failures: Failure[] = []
  const drawn = fc.sample(calls, { seed, numRuns: count })
  for (let at = 0; at < drawn.length; at += BATCH) {
    const batch = drawn.slice(at, at + BATCH)
    const before = await snapshot(host)
    for (const call of batch) await attempt(host, executables, call, seed, failures)
    const changes = await settled(host, before)
    if (changes.length > 0) {
      failures.push({
        subject: `executable/${[...new Set(batch.map(each => each.kind))].join()}`,
        input: batch,
        seed,
        reason: `the host is not as before: ${changes.join('; ')}`,
      })
    }
    tell(`executables: ${Math.min(at + BATCH, count)} of ${count} calls, ${failures.length} failed`)
  }
  return failures
}

async function attempt(
  host: Host,
  executables: Executables,
  call: Call,
  seed: number,
  failures: Failure[],
): Promise<void> {
  try {
    await perform(host, executables, call)
  } catch (thrown) {
    failures.push({
      subject: `executable/${call.kind}`,
      input: call,
      seed,
      reason: thrown instanceof Error ? thrown.message : String(thrown),
    })
  }
}

/** As host-local leaves them of every network; and a run directory that somebody chose. */
const STAYS =
  /^file (\/var\/lib\/cni\/networks\/\S+ appeared: folder|\/var\/lib\/cni\/networks\/[^/]+\/(lock|last_reserved_ip\.\d+) |\/run\/alone appeared: folder)/

/** What is still different when there was time for it to go. */
async function settled(host: Host, before: Snapshot): Promise<string[]> {
  let changes: string[] = []
  const look = async () => {
    changes = diff(before, await snapshot(host)).filter(change => !STAYS.test(change))
    return changes.length === 0
  }
  await waitFor(look, { what: 'the host to be as before', withinMs: 10_000 }).catch(() => {})
  return changes
}

async function perform(host: Host, { tsnet, dockerProxy }: Executables, call: Call): Promise<void> {
  switch (call.kind) {
    case 'cni': {
      // Without it, it is no call of a runtime.
      if (call.env.CNI_COMMAND === '') return
      const asked = async (command: string | undefined) => {
        const env = { ...NO_DAEMON, ...call.env, ...(command !== undefined && { CNI_COMMAND: command }) }
        const { code, stdout, stderr } = await soon(host, [tsnet], { env, stdin: call.stdin })
        ok(code === 0 || stdout !== '', `it ended with ${code}, and without an answer: ${stderr}`)
        checkAnswer({ exitCode: code, stdout })
        return code
      }
      if ((await asked(undefined)) === 0 && call.env.CNI_COMMAND === 'ADD')
        ok((await asked('DEL')) === 0, 'DEL of what ADD has made')
      return
    }
    case 'publish': {
      const { code, stderr, stdout } = await soon(host, [tsnet, 'publish', ...call.words], { env: NO_DAEMON })
      ok([0, 1, 2].includes(code), `exit code ${code}`)
      ok(code === 0 || stderr + stdout !== '', 'it fails without a word')
      if (code === 0) await soon(host, [tsnet, 'unpublish', '--all'], { env: NO_DAEMON })
      return
    }
    case 'docker-proxy': {
      // It speaks to dockerd over descriptor 3.
      const script = 'exec timeout "$0" "$@" 3>/dev/null'
      const { code, stderr, stdout } = await soon(
        host,
        ['sh', '-c', script, SERVES, dockerProxy, ...call.words],
        {},
      )
      ok([0, 1, 2, 124, 143].includes(code), `exit code ${code}: ${stderr}`)
      ok(stdout.length + stderr.length < 4000, 'it says too much')
      return
    }
    case 'control':
      await speak(host, call.said)
      ok(
        (await ask(host, '{"id":99,"do":"ping"}\n', text => text.includes('"id":99'))).includes('"pid"'),
        'the daemon is silent',
      )
  }
}

async function soon(
  host: Host,
  command: string[],
  { env = {}, stdin }: { env?: Record<string, string>; stdin?: string },
) {
  const began = Date.now()
  const finished = await host.run(...(command as [string]), {
    env,
    ...(stdin !== undefined && { stdin }),
    mayFail: true,
    withinMs: 4 * WITHIN_MS,
  })
  ok(finished.code !== 137, `it hangs: ${Date.now() - began} ms`)
  return finished
}

const speak = (host: Host, [all, ending]: Said): Promise<string> =>
  ask(host, all.map(line => line + ending).join(''), text => text.includes('\n'))

/** Sends a text to the control socket. @returns what is answered until it is enough, the end, or a moment after */
function ask(host: Host, text: string, isEnough: (said: string) => boolean): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(host.path('/run/tsnet/control.sock'))
    let said = ''
    socket.setTimeout(WITHIN_MS, () => socket.destroy())
    socket.on('error', cause => ('code' in cause && cause.code === 'EPIPE' ? socket.destroy() : fail(cause)))
    socket.on('data', chunk => {
      said += chunk
      if (isEnough(said)) socket.destroy()
    })
    socket.on('close', () => done(said))
    socket.write(text)
    // Half of a line is answered by nobody, and ends with the connection.
    socket.end()
  })
}
