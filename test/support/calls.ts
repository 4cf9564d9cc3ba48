/** CNI calls by a launcher on a host of the lab: done by its daemon, or in processes of their own. */

import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Finished, Running } from 'tsnet/lab'
import { Command } from './daemon.ts'
import { NO_DAEMON } from './no-daemon.ts'
import type { Scene } from './scene.ts'

/** Where there is no compiler, both are the script. */
export const launchers = { program: resolve('dist/bin/tsnet'), script: linkToScript() } as const

/** By the name that it has where it stands for the program. */
function linkToScript(): string {
  const folder = mkdtempSync('/tmp/tsnet-script-')
  process.on('exit', () => rmSync(folder, { recursive: true }))
  symlinkSync(resolve('dist/bin/launch.cjs'), join(folder, 'tsnet'))
  return join(folder, 'tsnet')
}

export type Launcher = keyof typeof launchers

export class Calls {
  readonly scene: Scene
  readonly #executable: string
  readonly #env: Record<string, string>
  readonly #config: Record<string, unknown>
  #daemon: Running | undefined

  constructor(
    scene: Scene,
    launcher: Launcher,
    config: Record<string, unknown> = {},
    env: Record<string, string> = {},
  ) {
    this.scene = scene
    this.#executable = launchers[launcher]
    this.#env = { ...NO_DAEMON, TSNET_NAT: scene.backend, CNI_PATH: '/opt/cni/bin', ...env }
    this.#config = { type: 'tsnet', ...scene.network('front', 10).config, ...config }
  }

  /** Starts the daemon. From then on nobody else can do a call: what Node would load for it is away. */
  async serve(...words: string[]): Promise<Running> {
    this.#daemon = await new Command(this.scene.host, this.scene.backend).daemon(...words)
    await this.scene.host.run('mount', '--bind', '/dev/null', resolve('dist/bundle/cni.cjs'))
    return this.#daemon
  }

  /** From now on a call may be done by its own process again. */
  async allowNode(): Promise<void> {
    await this.scene.host.run('umount', resolve('dist/bundle/cni.cjs'), { mayFail: true })
  }

  /** Ends what `serve` began. */
  async end(): Promise<void> {
    await this.allowNode()
    await this.#daemon?.stop('SIGTERM')
  }

  start(command: string, container: string, more: { env?: object; config?: object } = {}): Running {
    const of = container === '' ? {} : { CNI_CONTAINERID: container, CNI_NETNS: `/run/netns/${container}` }
    return this.scene.host.start(this.#executable, {
      env: { ...this.#env, CNI_COMMAND: command, CNI_IFNAME: 'eth0', ...of, ...more.env },
      stdin: JSON.stringify({ ...this.#config, ...more.config }),
    })
  }

  run(command: string, container: string, more: { env?: object; config?: object } = {}): Promise<Finished> {
    return this.start(command, container, more).finished
  }
}
