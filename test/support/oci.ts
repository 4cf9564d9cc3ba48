/** Containers that runc or crun runs by itself, from a bundle, in a network namespace of the host. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Host, Namespace } from 'tsnet/lab'
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

/** Starts a container, whose root is /srv/ID/rootfs, a folder that is the host's own. It joins the namespace. */
export async function startBundle(bundle: Bundle, namespace: Namespace, command: string[]): Promise<void> {
  const { host, runtime, id } = bundle
  const folder = `/srv/${id}`
  mkdirSync(host.path(folder))
  makeRootFilesystem(host.path(`${folder}/rootfs`))
  await host.run('runc', 'spec', '--bundle', folder)
  const file = host.path(`${folder}/config.json`)
  const config = JSON.parse(readFileSync(file, 'utf8'))
  for (const each of config.linux.namespaces) if (each.type === 'network') each.path = namespace.path
  const rlimits = [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }]
  config.process = { ...config.process, terminal: false, args: command, rlimits }
  writeFileSync(file, JSON.stringify(config))
  await host.run('sh', '-c', `cd "$1" && ${START[runtime]} || { cat err >&2; exit 1; }`, id, folder)
}

export async function removeBundle({ host, runtime, id }: Bundle): Promise<void> {
  await host.run(runtime, 'delete', '--force', id)
}
