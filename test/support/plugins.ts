/**
 * The CNI plugins of a host: ours and the reference plugins, as `/opt/cni/bin` has them.
 */

import { resolve } from 'node:path'
import type { Host } from 'tsnet/lab'
import type { Execute } from './libcni.ts'

/** Where Debian puts the reference plugins. */
export const REFERENCE = '/usr/lib/cni'

/** Fills the host's /opt/cni/bin; the rest of /opt stays as the machine has it. */
export async function installPlugins(host: Host): Promise<void> {
  await host.tmpfs('/opt/cni')
  const script = 'mkdir /opt/cni/bin; ln -s "$1"/* "$2" /opt/cni/bin/'
  await host.run('sh', '-ec', script, 'sh', REFERENCE, resolve('dist/bin/tsnet'))
}

/** Runs plugins of the host's /opt/cni/bin, as a runtime there would. */
export const pluginsOf =
  (host: Host): Execute =>
  (type, environment, stdin) => {
    const env = { ...environment, CNI_PATH: '/opt/cni/bin' }
    return host.run(`/opt/cni/bin/${type}`, { env, stdin, mayFail: true })
  }
