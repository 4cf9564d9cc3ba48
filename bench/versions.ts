/** Versions of what takes part in a benchmark, and what of it is not installed. */

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** How a program says its version, and where in its words it is. */
const QUESTIONS: Record<string, readonly [file: string, ...args: string[]]> = {
  'reference plugins': ['dpkg-query', '-W', 'containernetworking-plugins'],
  netavark: ['/usr/lib/podman/netavark', '--version'],
  'aardvark-dns': ['dpkg-query', '-W', 'aardvark-dns'],
  'docker-proxy': ['dockerd', '--version'],
  haproxy: ['haproxy', '-v'],
  socat: ['socat', '-V'],
  nginx: ['nginx', '-v'],
  wrk: ['dpkg-query', '-W', 'wrk'],
  iptables: ['iptables', '--version'],
  nft: ['nft', '--version'],
  linux: ['uname', '-r'],
}

/** Where Debian puts the reference plugins. */
export const REFERENCE = '/usr/lib/cni'
export const NO_REFERENCE = `no reference plugins in ${REFERENCE}: there is nothing to compare with`

/** Whether the chain that is the peer of ours can run. */
export const hasReference = (): boolean =>
  ['bridge', 'host-local', 'portmap'].every(type => existsSync(`${REFERENCE}/${type}`))

/** @returns program and version, `not installed` for what does not run here */
export function versionsOf(...names: string[]): Record<string, string> {
  return Object.fromEntries(names.map(name => [name, versionOf(name)]))
}

/** Whether a program is on the PATH. */
export const isInstalled = (program: string): boolean =>
  spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program], { stdio: 'ignore' }).status === 0

function versionOf(name: string): string {
  if (name === 'node') return process.version
  const [file, ...args] = QUESTIONS[name] ?? [name, '--version']
  try {
    // Some say it on stderr.
    const said = execFileSync('sh', ['-c', '"$@" 2>&1 </dev/null', 'sh', file, ...args], { encoding: 'utf8' })
    return /v?\d+\.\d[\w.+-]*/.exec(said)?.[0] ?? said.trim()
  } catch {
    return 'not installed'
  }
}
