/**
 * Where the runtimes of a host keep their sockets and files, and what moves them: DOCKER_HOST,
 * CONTAINER_HOST, CONTAINERD_ADDRESS, CONTAINERS_STORAGE_CONF (of whoever asks: the daemon's, where it does),
 * storage.conf(5), containerd-config.toml(5) and lxc.system.conf(5).
 */

import { dirname } from 'node:path'
import { type Surroundings, surroundings } from '../model/surroundings.ts'
import { readContainerdConfig } from './containerd-config.ts'
import { readText } from './files.ts'
import { lxcSetting } from './lxc-config.ts'
import { readToml, textAt } from './toml.ts'

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
export function placesOf(environment: Surroundings['env'] = surroundings().env, root = ''): Places {
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
    storage: at(graphRootIn(storageSettings.map(at)) ?? '/var/lib/containers/storage'),
    containerd: containerdStates(root, CONTAINERD_ADDRESS?.replace(/^unix:\/\//, '')).map(at),
    containerdRunc: at('/run/containerd/runc'),
    runc: at('/run/runc'),
    crun: at('/run/crun'),
    lxc: at(lxcSetting(at('/etc/lxc/lxc.conf'), 'lxc.lxcpath') ?? '/var/lib/lxc'),
    cniCache: at('/var/lib/cni/results'),
  }
}

const socketOf = (host: string | undefined) => /^unix:\/\/(\/.*)$/.exec(host ?? '')?.[1]

/** Of the first of these files that is there: it counts as a whole. */
function graphRootIn(files: string[]): string | undefined {
  const file = files.find(each => readText(each) !== undefined)
  return file === undefined ? undefined : textAt(readToml(file), 'storage', 'graphroot')
}

/** @param address of the one that is meant; absent: the system's, and k3s's */
function containerdStates(root: string, address: string | undefined): string[] {
  const configured = readContainerdConfig(root)
  const state = configured.state ?? '/run/containerd'
  if (address === undefined) return [...new Set([state, '/run/k3s/containerd'])]
  return [address === configured.address ? state : dirname(address)]
}
