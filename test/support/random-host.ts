/**
 * A host on which workers do what a runtime, a person, other tools and accidents do, each operation written down in a
 * history. The calls of one container are one worker's; GC and a new start are alone, as the specification has it of GC.
 */

import { type Finished, type Running, waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { Calls } from './calls.ts'
import { Command, EXECUTABLE } from './daemon.ts'
import { Gate } from './gate.ts'
import type { Operation, Outcome } from './history.ts'
import type { Result } from './libcni.ts'
import { BOOT_ID, drawBootId, endProcesses, powerCycle } from './reboot.ts'
import { ANSWERS, HOST, Scene } from './scene.ts'

/** How a daemon ends before the next one comes. */
export type End = 'killed' | 'stopped' | 'followed'

export interface RandomHostOptions {
  backend: NatBackend
  withDaemon: boolean
  containers: string[]
  /** Of which the first is the gateway's and the last the broadcast address. */
  subnet: string
}

/** What is known of a container; an attachment has a result. */
export interface Known {
  state: 'away' | 'there' | 'unsure'
  result?: Result
  port?: number
  published?: { port: number; isSure: boolean }
}

const KILLED = 137

type Told = Operation extends infer T
  ? T extends Operation
    ? Omit<T, 'from' | 'to' | 'outcome' | 'said'>
    : never
  : never

export class RandomHost {
  readonly history: Operation[] = []
  readonly known = new Map<string, Known>()
  readonly scene: Scene
  readonly #options: RandomHostOptions
  readonly #gate = new Gate()
  readonly #upheaval = new Gate()
  readonly #calls: Calls
  readonly #command: Command
  #daemon: Running | undefined
  #moment = 0

  private constructor(scene: Scene, options: RandomHostOptions) {
    this.scene = scene
    this.#options = options
    const ranges = [[{ subnet: options.subnet }]]
    this.#calls = new Calls(scene, 'program', { ipam: { type: 'host-local', ranges } })
    this.#command = new Command(scene.host, options.backend)
    for (const name of options.containers) this.known.set(name, { state: 'away' })
  }

  static async open(options: RandomHostOptions): Promise<RandomHost> {
    const scene = await Scene.open(options.backend, ...options.containers)
    const self = new RandomHost(scene, options)
    await drawBootId(scene.host)
    await scene.remember()
    if (options.withDaemon) self.#daemon = await self.#command.daemon()
    return self
  }

  get withDaemon(): boolean {
    return this.#options.withDaemon
  }

  of(name: string): Known {
    return this.known.get(name) ?? { state: 'away' }
  }

  async add(name: string, port: number | undefined, killAfterMs?: number): Promise<void> {
    await this.#gate.shared(async () => {
      const known = this.of(name)
      if (known.state === 'there') return
      const told = {
        kind: 'add',
        who: name,
        addresses: [] as string[],
        ports: port === undefined ? [] : [port],
      } as const
      await this.#tell(told, async () => {
        const ended = await this.#endOf(this.#start('ADD', name, port), killAfterMs)
        if (ended.outcome === 'killed') known.state = 'unsure'
        if (ended.outcome !== 'done') return ended
        const result = JSON.parse(ended.stdout) as Result
        told.addresses.push(...(result.ips ?? []).map(({ address }) => address))
        Object.assign(known, { state: 'there', result, port })
        return ended
      })
    })
  }

  /** @param isGone the container's namespace goes before */
  async delete(name: string, isGone: boolean, killAfterMs?: number): Promise<void> {
    await this.#gate.shared(async () => {
      const known = this.of(name)
      if (known.published !== undefined) return
      if (isGone) await this.scene.get(name).remove()
      await this.#tell({ kind: 'del', who: name }, async () => {
        const ended = await this.#endOf(this.#start('DEL', name, known.port), killAfterMs)
        known.state = ended.outcome === 'done' ? 'away' : 'unsure'
        return ended
      })
      if (isGone) await this.scene.container(name)
    })
  }

  async check(name: string): Promise<void> {
    await this.#gate.shared(async () => {
      const { state, result, port } = this.of(name)
      if (state !== 'there') return
      const work = () => this.#endOf(this.#start('CHECK', name, port, { prevResult: result }))
      await this.#tell({ kind: 'check', who: name }, work)
    })
  }

  async publish(name: string, port: number, killAfterMs?: number): Promise<void> {
    await this.#gate.shared(async () => {
      const known = this.of(name)
      if (known.state !== 'there' || known.published !== undefined || !this.withDaemon) return
      await this.#tell({ kind: 'publish', who: name, port }, async () => {
        const ended = await this.#endOf(
          this.#tsnet('publish', `${port}:${ANSWERS}`, `netns:${name}`),
          killAfterMs,
        )
        // One that was refused as the daemon died may have been written down.
        if (ended.outcome !== 'refused' || /daemon/.test(ended.said ?? ''))
          known.published = { port, isSure: ended.outcome === 'done' }
        return ended
      })
    })
  }

  async unpublish(name: string, killAfterMs?: number): Promise<void> {
    await this.#gate.shared(async () => {
      const known = this.of(name)
      const { published } = known
      if (published === undefined) return
      await this.#tell({ kind: 'unpublish', who: name, port: published.port }, async () => {
        const ended = await this.#endOf(this.#tsnet('unpublish', `${published.port}`), killAfterMs)
        if (
          ended.outcome === 'done' ||
          (!published.isSure && /not published|nothing is/.test(ended.said ?? ''))
        )
          delete known.published
        else published.isSure = false
        return ended
      })
    })
  }

  /** A client of the host's network asks for a port of the container's. */
  async ask(name: string): Promise<void> {
    await this.#gate.shared(async () => {
      const { state, port, published } = this.of(name)
      const asked = published?.isSure ? published.port : port
      if (state !== 'there' || asked === undefined) return
      const told = { kind: 'ask', who: name, port: asked, answer: undefined as string | undefined } as const
      await this.#tell(told, async () => {
        const answer = this.scene.client.ask('tcp', HOST[4], asked, { withinMs: 5000 })
        Object.assign(told, {
          answer: await answer.then(
            ({ place }) => place,
            () => undefined,
          ),
        })
        return { outcome: 'done' }
      })
    })
  }

  /** GC with those who are there. */
  async collect(): Promise<void> {
    await this.#gate.alone(async () => {
      const valid = [...this.known].filter(([, { state }]) => state === 'there').map(([name]) => name)
      const list = valid.map(containerID => ({ containerID, ifname: 'eth0' }))
      await this.#tell({ kind: 'collect', valid }, async () => {
        const gc = this.#calls.start('GC', '', { config: { 'cni.dev/valid-attachments': list } })
        return this.#endOf(gc)
      })
      for (const known of this.known.values()) if (known.state === 'unsure') known.state = 'away'
    })
  }

  /** The daemon ends, and there is another. */
  async restart(how: End): Promise<void> {
    if (!this.withDaemon) return
    await this.#gate.shared(() =>
      this.#upheaval.alone(() =>
        this.#tell({ kind: 'restart' }, async () => {
          const before = this.#daemon
          if (how !== 'followed') await before?.stop(how === 'killed' ? 'SIGKILL' : 'SIGTERM')
          // A command that found nobody may have started one.
          this.#daemon = await this.#command.daemon('--replace')
          await before?.finished
          return { outcome: 'done' }
        }),
      ),
    )
  }

  /** Somebody takes all rules away; they come back by the daemon, or by hand. */
  async flush(): Promise<void> {
    await this.#gate.shared(() =>
      this.#upheaval.alone(() =>
        this.#tell({ kind: 'flush' }, async () => {
          await this.scene.host.run('nft', 'flush', 'ruleset')
          const words = this.withDaemon ? ['reconcile', '--dry-run', '--json'] : ['reconcile', '--json']
          let said = ''
          const isWhole = async () => {
            said = (await this.#command.run(...words)).stdout.trim()
            if (said !== '[]') throw new Error(said)
            return true
          }
          await waitFor(isWhole, { what: 'all rules to be back', withinMs: 60_000 })
          return { outcome: 'done' }
        }),
      ),
    )
  }

  /** All that is not on a disk is gone: processes, links, rules, settings, namespaces, /run. */
  async reboot(): Promise<void> {
    await this.#gate.alone(() =>
      this.#tell({ kind: 'reboot' }, async () => {
        const { host } = this.scene
        await this.#daemon?.stop('SIGKILL')
        await endProcesses(host)
        for (const name of this.known.keys()) await this.scene.get(name).remove()
        await powerCycle(host)
        for (const name of this.known.keys()) {
          await this.scene.container(name)
          this.known.set(name, { state: 'away' })
        }
        if (this.withDaemon) this.#daemon = await this.#command.daemon()
        return { outcome: 'done' }
      }),
    )
  }

  /** Ends all that is there, as a runtime and a person would. @returns what is left on the host, in words */
  async settle(): Promise<string[]> {
    if (this.withDaemon) await this.#command.run('unpublish', '--all')
    for (const [name, { port }] of this.known)
      await this.#tell({ kind: 'del', who: name }, () => this.#endOf(this.#start('DEL', name, port)))
    const none = { config: { 'cni.dev/valid-attachments': [] } }
    await this.#tell({ kind: 'collect', valid: [] }, () => this.#endOf(this.#calls.start('GC', '', none)))
    await this.scene.host.run('rm', '-f', '/run/tsnet/daemon.log')
    await this.#daemon?.stop('SIGTERM')
    // Of namespaces that came back the names are the same.
    return this.scene.residue(line => !line.includes(BOOT_ID) && !line.startsWith('mount /run/netns/'))
  }

  #start(command: string, name: string, port: number | undefined, more: object = {}): Running {
    const portMappings =
      port === undefined ? [] : [{ hostPort: port, containerPort: ANSWERS, protocol: 'tcp' }]
    return this.#calls.start(command, name, { config: { runtimeConfig: { portMappings }, ...more } })
  }

  #tsnet(...words: string[]): Running {
    const env = { TSNET_DAEMON: 'running', TSNET_NAT: this.#options.backend }
    return this.scene.host.start(EXECUTABLE, ...words, { env })
  }

  async #endOf(running: Running, killAfterMs?: number): Promise<Finished & Ended> {
    const kill = () => {
      const { pid } = running
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
    }
    const timer = killAfterMs === undefined ? undefined : setTimeout(kill, killAfterMs)
    const finished = await running.finished
    clearTimeout(timer)
    const outcome: Outcome = finished.code === 0 ? 'done' : finished.code === KILLED ? 'killed' : 'refused'
    return { ...finished, outcome, said: `${finished.stdout}${finished.stderr}`.trim() }
  }

  async #tell(told: Told, work: () => Promise<Ended>): Promise<void> {
    const from = this.#moment++
    const { outcome, said } = await work()
    const more = said === undefined ? {} : { said }
    this.history.push(Object.assign(told, { from, to: this.#moment++, outcome, ...more }) as Operation)
  }
}

interface Ended {
  outcome: Outcome
  said?: string
}
