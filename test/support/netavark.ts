/** tsnet as podman starts it: a driver plugin of netavark, called with golden requests of a real podman. */

import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Host } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { NO_DAEMON } from './no-daemon.ts'

export const PLUGIN = resolve('dist/netavark/tsnet')

export interface Reply {
  code: number | null
  stderr: string
  /** What it printed, as it was read. */
  said: Record<string, unknown> & { error?: string }
}

/** What podman 5.8 wrote on the plugin's stdin, by way of netavark 1.17. @param name of a file of test/golden/netavark */
export const golden = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(`test/golden/netavark/${name}.json`, 'utf8'))

/** Calls the plugin on a host of the lab. @param input text, or what is printed as JSON */
export async function callPlugin(
  host: Host,
  backend: NatBackend,
  words: string[],
  input: object | string,
  env: Record<string, string> = {},
): Promise<Reply> {
  const stdin = typeof input === 'string' ? input : JSON.stringify(input)
  const { code, stdout, stderr } = await host.run(PLUGIN, ...words, {
    stdin,
    mayFail: true,
    env: { ...NO_DAEMON, TSNET_NAT: backend, ...env },
  })
  return { code, stderr, said: stdout === '' ? {} : JSON.parse(stdout) }
}
