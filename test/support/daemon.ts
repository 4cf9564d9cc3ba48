/** The daemon and the command on a host of the lab, as a person runs them. */

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { resolve } from 'node:path'
import type { Test } from 'tap'
import { type Finished, type Host, type Running, type RunOptions, waitFor } from 'tsnet/lab'
import { ControlClient } from '../../src/control/client.ts'
import type { Event } from '../../src/control/control.ts'
import type { Fault } from '../../src/doctor/doctor.ts'
import type { NatBackend } from '../../src/model/network.ts'
import type { Served } from '../../src/publish/publish.ts'
import { NO_DAEMON } from './no-daemon.ts'
import { Scene } from './scene.ts'

export const EXECUTABLE = resolve('dist/bin/tsnet')

/** For a daemon that redirects. */
export const REDIRECT_ON = ['--config', resolve('test/support/redirect-on.json')]

/** A scene and its daemon, iptables; both end with the test. */
export async function withDaemon(
  t: Test,
  ...containers: string[]
): Promise<{ scene: Scene; tsnet: Command }> {
  const scene = await Scene.open('iptables', ...containers)
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  return { scene, tsnet }
}

/**
 * With nftables clients of loopback are redirected, with iptables they are not: what a suite shows on both firewalls it
 * shows both ways. TEST_REDIRECT (on, off) runs all of it one way.
 */
const redirectFor = (backend: NatBackend): string =>
  process.env.TEST_REDIRECT ?? (backend === 'nftables' ? 'on' : 'off')

/** Who serves what the kernel serves from outside, as `BY` says it. */
export const servedBy = (backend: NatBackend): string[] => [
  backend,
  ...(redirectFor(backend) === 'on' ? ['redirect'] : []),
  'proxy',
]

export class Command {
  readonly host: Host
  readonly #env: Record<string, string>
  readonly #settings: string[]

  /**
   * @param env beside what every command of a host has
   * @param redirect whether a daemon redirects whose settings are not said
   */
  constructor(
    host: Host,
    backend: NatBackend,
    env: Record<string, string> = {},
    redirect = redirectFor(backend),
  ) {
    this.host = host
    this.#env = { ...NO_DAEMON, TSNET_NAT: backend, ...env }
    this.#settings = ['--config', resolve(`test/support/redirect-${redirect}.json`)]
  }

  /** Starts the daemon. */
  start(...words: string[]): Running {
    return this.host.start(EXECUTABLE, 'daemon', ...this.#settings, ...words, { env: this.#env })
  }

  /** Starts the daemon and waits until it is ready. */
  async daemon(...words: string[]): Promise<Running> {
    const daemon = this.start(...words)
    const ready = waitFor(() => daemon.stdout.includes('ready'), {
      what: 'the daemon to be ready',
      withinMs: 60_000,
    })
    const ended = daemon.finished.then(({ code, stderr }) => {
      if (!daemon.stdout.includes('ready')) throw new Error(`the daemon ended with ${code}: ${stderr}`)
    })
    await Promise.race([ready, ended])
    return daemon
  }

  /** `tsnet …`; throws unless it ends with 0. */
  run(...words: string[]): Promise<Finished> {
    return this.host.run(EXECUTABLE, ...words, { env: this.#env })
  }

  /** `tsnet …`, whatever it ends with. */
  try(...words: string[]): Promise<Finished> {
    const options: RunOptions = { env: this.#env, mayFail: true }
    return this.host.run(EXECUTABLE, ...words, options)
  }

  /** Asks the daemon itself. */
  async ask(operation: string, parameters?: unknown): Promise<unknown> {
    using client = await this.connect()
    return await client.ask(operation, parameters)
  }

  /** A connection to the daemon. @param hear hears events */
  async connect(hear: (event: Event) => void = () => {}): Promise<ControlClient> {
    const socket = connect(this.host.path('/run/tsnet/control.sock'))
    await once(socket, 'connect')
    return new ControlClient(socket, hear)
  }

  /** What `tsnet doctor` finds, as `CHECK: WHAT`. */
  async faults(...words: string[]): Promise<string[]> {
    const { stdout, stderr } = await this.try('doctor', ...words, '--json')
    if (stdout === '') throw new Error(stderr)
    return (JSON.parse(stdout) as Fault[]).map(({ check, on, what }) => `${check}: ${on}: ${what}`)
  }

  async ports(): Promise<Served[]> {
    return JSON.parse((await this.run('ports', '--json')).stdout) as Served[]
  }
}

/** A way to keep a process from going on, and to let it. */
export interface Keeper {
  keep(): Promise<unknown>
  release(): Promise<unknown>
}

export function bySignal(daemon: Running): Keeper {
  const [, parent] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8')) ?? []
  const send = async (signal: NodeJS.Signals, ...pids: number[]) => {
    for (const pid of pids) process.kill(pid, signal)
  }
  // nsenter stops with its child.
  return {
    keep: () => send('SIGSTOP', Number(daemon.pid)),
    release: () => send('SIGCONT', Number(daemon.pid), Number(parent)),
  }
}
