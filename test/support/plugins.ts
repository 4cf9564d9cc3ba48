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
  const script = `
    set -e
    mkdir /run/.opt /run/.opt/upper /run/.opt/work
    mount -t overlay -o lowerdir=/opt,upperdir=/run/.opt/upper,workdir=/run/.opt/work overlay /opt
    mkdir -p /opt/cni
    mount -t tmpfs -o mode=755 tmpfs /opt/cni
    mkdir /opt/cni/bin
    ln -s "$1"/* "$2" /opt/cni/bin/`
  await host.run('sh', '-c', script, 'sh', REFERENCE, resolve('dist/bin/tsnet'))
}

/** Runs plugins of the host's /opt/cni/bin, as a runtime there would. */
export const pluginsOf =
  (host: Host): Execute =>
  (type, environment, stdin) => {
    const env = { ...environment, CNI_PATH: '/opt/cni/bin' }
    return host.run(`/opt/cni/bin/${type}`, { env, stdin, mayFail: true })
  }
