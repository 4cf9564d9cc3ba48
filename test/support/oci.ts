/** Containers that runc or crun runs by itself, from a bundle, in a network namespace of the host. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Finished, Host, Namespace } from 'tsnet/lab'
import { makeRootFilesystem } from './busybox.ts'

export interface Bundle {
  host: Host
  runtime: 'runc' | 'crun'
  id: string
}

// The container keeps the streams of its runtime. crun refuses machines that have cgroups of both versions.
const START = {
  runc: 'runc run --detach "$0" </dev/null >/dev/null 2>err',
  crun: `unshare --mount sh -c 'mount -t cgroup2 cgroup /sys/fs/cgroup &&
    exec crun --cgroup-manager disabled run --detach "$0" </dev/null >/dev/null 2>err' "$0"`,
}

/** The part of a bundle's config.json that tests change. */
export interface OciConfig {
  root: { path: string; readonly?: boolean }
  linux: { namespaces: { type: string; path?: string }[] }
  mounts: { type: string }[]
  [key: string]: unknown
}

/** Writes a bundle to /srv/ID, whose root is /srv/ID/rootfs, a folder that is the host's own. */
export async function writeBundle(
  { host, id }: Bundle,
  command: string[],
  change: (config: OciConfig) => void,
): Promise<void> {
  const folder = `/srv/${id}`
  mkdirSync(host.path(folder))
  makeRootFilesystem(host.path(`${folder}/rootfs`))
  await host.run('runc', 'spec', '--bundle', folder)
  const file = host.path(`${folder}/config.json`)
  const config = JSON.parse(readFileSync(file, 'utf8'))
  const rlimits = [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }]
  config.process = { ...config.process, terminal: false, args: command, rlimits }
  change(config)
  writeFileSync(file, JSON.stringify(config))
}

/** Runs a bundle in the background. What a failing runtime says is on stderr. */
export function runBundle({ host, runtime, id }: Bundle): Promise<Finished> {
  const script = `cd "$1" && { ${START[runtime]}; } || { cat err >&2; exit 1; }`
  return host.run('sh', '-c', script, id, `/srv/${id}`, { mayFail: true })
}

/** Starts a container that joins the namespace. */
export async function startBundle(bundle: Bundle, namespace: Namespace, command: string[]): Promise<void> {
  await writeBundle(bundle, command, config => {
    for (const each of config.linux.namespaces) if (each.type === 'network') each.path = namespace.path
  })
  const { code, stderr } = await runBundle(bundle)
  if (code !== 0) throw new Error(`${bundle.runtime} did not start ${bundle.id}: ${stderr}`)
}

export async function removeBundle({ host, runtime, id }: Bundle): Promise<void> {
  await host.run(runtime, 'delete', '--force', id)
}
