/** A docker-proxy on a host of the lab, started as dockerd would: the original, or what we have in its place. */

import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Host, type Running, waitFor } from 'tsnet/lab'
import type { Part } from './play-dockerd.ts'

export const IMPLEMENTATIONS = {
  original: 'docker-proxy',
  tsnet: resolve('dist/drop-in/docker-proxy'),
  /** Ours where there is no C compiler, under the name that it has then. */
  script: resolve('dist/test/docker-proxy'),
} as const

export type Implementation = keyof typeof IMPLEMENTATIONS

export interface ProxyEnd {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

rmSync(IMPLEMENTATIONS.script, { force: true })
mkdirSync(dirname(IMPLEMENTATIONS.script), { recursive: true })
symlinkSync('../bin/launch.cjs', IMPLEMENTATIONS.script)

const DOCKERD = fileURLToPath(new URL('./play-dockerd.js', import.meta.url))

/** `8080` of `127.0.0.1`, to port 80 of this address. */
export const flags = ({
  proto = 'tcp',
  hostIp = '127.0.0.1',
  hostPort = 8080,
  to = '127.0.0.1',
  port = 80,
} = {}): string[] =>
  [
    '-proto',
    proto,
    '-host-ip',
    hostIp,
    '-host-port',
    hostPort,
    '-container-ip',
    to,
    '-container-port',
    port,
  ].map(String)

export class DockerProxy {
  /** Who plays dockerd. */
  readonly parent: Running
  readonly #host: Host

  constructor(
    host: Host,
    implementation: Implementation,
    args: string[],
    { before = [], ...part }: Omit<Part, 'command'> & { before?: string[] } = {},
  ) {
    const command = [...before, IMPLEMENTATIONS[implementation], ...args]
    this.#host = host
    this.parent = host.start(process.execPath, DOCKERD, JSON.stringify({ ...part, command }))
  }

  /** One that serves. @throws Error with what it said where it does not */
  static async up(...by: ConstructorParameters<typeof DockerProxy>): Promise<DockerProxy> {
    const proxy = new DockerProxy(...by)
    const status = await proxy.status()
    if (status !== '0\n')
      throw new Error(`docker-proxy says ${JSON.stringify(status)}: ${proxy.parent.stdout}`)
    return proxy
  }

  /** All that came through descriptor 3, once it is closed. */
  status(): Promise<string> {
    return this.#said<{ status: string }>('status').then(({ status }) => status)
  }

  /** Its process on the host. */
  pid(): Promise<number> {
    return this.#said<{ pid: number }>('pid').then(({ pid }) => pid)
  }

  /** How it ended. */
  ended(): Promise<ProxyEnd> {
    return this.#said<ProxyEnd>('code')
  }

  /** Sends a signal, and waits for the end. */
  async stop(signal = 'TERM'): Promise<ProxyEnd> {
    await this.#host.run('kill', `-${signal}`, String(await this.pid()))
    return this.ended()
  }

  #said<Line>(key: keyof Line & string): Promise<Line> {
    const find = () => {
      const lines = this.parent.stdout.split('\n').filter(line => line.endsWith('}'))
      return lines.map(line => JSON.parse(line)).find(line => Object.hasOwn(line, key))
    }
    return waitFor<Line>(find, { what: `${key} of docker-proxy` })
  }
}
