/**
 * The CNI plugins of a host: ours and the reference plugins, as `/opt/cni/bin` has them.
 */

import { resolve } from 'node:path'
import type { Host } from 'tsnet/lab'
import type { Execute } from './libcni.ts'
import { NO_DAEMON } from './no-daemon.ts'

/** Where Debian puts the reference plugins. */
export const REFERENCE = '/usr/lib/cni'

/** Our drop-ins for them. */
const DROP_INS = resolve('dist/drop-in')

/**
 * Fills the host's /opt/cni/bin; the rest of /opt stays as the machine has it.
 * @param ours names that lead to our drop-ins instead of the reference plugins
 */
export async function installPlugins(host: Host, ours: readonly string[] = []): Promise<void> {
  await host.tmpfs('/opt/cni')
  const script = `
    theirs=$1 tsnet=$2 ours=$3; shift 3
    mkdir /opt/cni/bin
    ln -s "$theirs"/* /opt/cni/bin/
    ln -sf "$tsnet" /opt/cni/bin/ # the machine may have one of its own
    for name; do ln -sf "$ours/$name" /opt/cni/bin/; done`
  await host.run('sh', '-ec', script, 'sh', REFERENCE, resolve('dist/bin/tsnet'), DROP_INS, ...ours)
}

/** Runs plugins of the host's /opt/cni/bin, as a runtime there would. */
export const pluginsOf =
  (host: Host): Execute =>
  (type, environment, stdin) => {
    const env = { ...NO_DAEMON, ...environment, CNI_PATH: '/opt/cni/bin' }
    return host.run(`/opt/cni/bin/${type}`, { env, stdin, mayFail: true })
  }
