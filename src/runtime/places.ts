/**
 * Where the runtimes of a host keep their sockets and files, and what moves them: DOCKER_HOST,
 * CONTAINER_HOST, CONTAINERD_ADDRESS, CONTAINERS_STORAGE_CONF (of whoever asks: the daemon's, where it does),
 * storage.conf(5) and lxc.system.conf(5).
 */

import { dirname } from 'node:path'
import { readText } from './files.ts'

export interface Places {
  dockerSocket: string
  podmanSocket: string
  /** Images and containers of podman, and of CRI-O. */
  storage: string
  /** containerd's state directories. */
  containerd: string[]
  /** Where runc keeps its state when containerd calls it; a folder for each of containerd's namespaces. */
  containerdRunc: string
  runc: string
  crun: string
  lxc: string
  cniCache: string
}

/** @param root a folder that stands for `/`, for tests */
export function placesOf(environment: NodeJS.ProcessEnv = process.env, root = ''): Places {
  const { DOCKER_HOST, CONTAINER_HOST, CONTAINERD_ADDRESS, CONTAINERS_STORAGE_CONF } = environment
  const at = (path: string) => `${root}${path}`
  const storageSettings = [
    ...(CONTAINERS_STORAGE_CONF === undefined ? [] : [CONTAINERS_STORAGE_CONF]),
    '/etc/containers/storage.conf',
    '/usr/share/containers/storage.conf',
  ]
  return {
    dockerSocket: at(socketOf(DOCKER_HOST) ?? '/run/docker.sock'),
    podmanSocket: at(socketOf(CONTAINER_HOST) ?? '/run/podman/podman.sock'),
    storage: at(
      settingIn(storageSettings.map(at), /^\s*graphroot\s*=\s*"([^"]+)"/m) ?? '/var/lib/containers/storage',
    ),
    containerd:
      CONTAINERD_ADDRESS === undefined
        ? ['/run/containerd', '/run/k3s/containerd'].map(at)
        : [at(dirname(CONTAINERD_ADDRESS.replace(/^unix:\/\//, '')))],
    containerdRunc: at('/run/containerd/runc'),
    runc: at('/run/runc'),
    crun: at('/run/crun'),
    lxc: at(settingIn([at('/etc/lxc/lxc.conf')], /^\s*lxc\.lxcpath\s*=\s*(\S+)/m) ?? '/var/lib/lxc'),
    cniCache: at('/var/lib/cni/results'),
  }
}

const socketOf = (host: string | undefined) => /^unix:\/\/(\/.*)$/.exec(host ?? '')?.[1]

/** From the first of these files that is there, as the runtimes read them. */
function settingIn(files: string[], pattern: RegExp): string | undefined {
  const text = files.map(readText).find(each => each !== undefined)
  return pattern.exec(text ?? '')?.[1]
}
