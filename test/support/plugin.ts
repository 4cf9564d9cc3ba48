/**
 * tsnet as a runtime on a host of the lab calls it: dist/bin/tsnet with CNI's environment and stdin.
 */

import { resolve } from 'node:path'
import type { Finished, Host, Namespace } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { PluginError, type Result } from './libcni.ts'
import { NO_DAEMON } from './no-daemon.ts'

const EXECUTABLE = resolve('dist/bin/tsnet')

/** A port as runtimeConfig has it. */
export interface Port {
  hostPort: number
  containerPort: number
  protocol?: string
  hostIP?: string
}

export interface CallOptions {
  /** Default: the namespace's name. */
  containerId?: string
  /** Default eth0. */
  ifname?: string
  /** CNI_NETNS where it is not the namespace's path. */
  netns?: string
  ports?: Port[]
  prevResult?: Result
  /** Keys over those of the network's configuration. */
  config?: Record<string, unknown>
  env?: Record<string, string>
}

/** One network's configuration on one host, and the calls a runtime makes with it. */
export class Plugin {
  readonly host: Host
  readonly config: Record<string, unknown>
  readonly backend: NatBackend
  readonly executable: string
  readonly env: Record<string, string>
  /** What the last call has said on stderr. */
  said = ''

  constructor(
    host: Host,
    backend: NatBackend,
    config: Record<string, unknown>,
    executable: string = EXECUTABLE,
    env: Record<string, string> = {},
  ) {
    this.env = env
    this.host = host
    this.backend = backend
    this.executable = executable
    this.config = { cniVersion: '1.1.0', type: 'tsnet', ...config }
  }

  async add(container: Namespace | string, options: CallOptions = {}): Promise<Result> {
    return JSON.parse(await this.#call('ADD', container, options)) as Result
  }

  async delete(container: Namespace | string, options: CallOptions = {}): Promise<void> {
    await this.#call('DEL', container, options)
  }

  async check(container: Namespace, prevResult: Result, options: CallOptions = {}): Promise<void> {
    await this.#call('CHECK', container, { prevResult, ...options })
  }

  /** @param valid containers that live, by id; undefined sends no list */
  async collect(valid: string[] | undefined, ifname = 'eth0'): Promise<void> {
    const list = valid?.map(containerID => ({ containerID, ifname }))
    await this.#run('GC', {}, list === undefined ? {} : { 'cni.dev/valid-attachments': list })
  }

  async status(): Promise<void> {
    await this.#run('STATUS', {}, {})
  }

  #call(command: string, container: Namespace | string, options: CallOptions): Promise<string> {
    const { containerId, ifname = 'eth0', netns, ports, prevResult, config, env } = options
    const isPlace = typeof container !== 'string'
    return this.#run(
      command,
      {
        CNI_CONTAINERID: containerId ?? (isPlace ? container.name : container),
        CNI_NETNS: netns ?? (isPlace ? container.path : ''),
        CNI_IFNAME: ifname,
        ...env,
      },
      {
        ...(ports && { runtimeConfig: { portMappings: ports.map(port => ({ protocol: 'tcp', ...port })) } }),
        ...(prevResult && { prevResult }),
        ...config,
      },
    )
  }

  async #run(command: string, env: Record<string, string>, config: object): Promise<string> {
    const finished = await this.host.run(this.executable, {
      env: {
        ...NO_DAEMON,
        CNI_COMMAND: command,
        CNI_PATH: '/opt/cni/bin',
        TSNET_NAT: this.backend,
        ...this.env,
        ...env,
      },
      stdin: JSON.stringify({ ...this.config, ...config }),
      mayFail: true,
    })
    this.said = finished.stderr
    if (finished.code === 0) return finished.stdout
    throw errorOf(command, finished)
  }
}

function errorOf(command: string, { stdout, stderr, code }: Finished): PluginError {
  try {
    const error = JSON.parse(stdout) as { code: number; msg: string; details?: string }
    return new PluginError(command, [error.msg, error.details].filter(Boolean).join('; '), error.code)
  } catch {
    return new PluginError(command, `ended with ${code} and no error object: ${stdout}${stderr}`)
  }
}

/** The container's address in a result, without its length. */
export function addressOf(result: Result, family: 4 | 6): string {
  const found = result.ips?.find(({ address }) => address.includes(':') === (family === 6))
  return found?.address.split('/')[0] ?? ''
}
