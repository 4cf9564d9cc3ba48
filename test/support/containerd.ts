/**
 * A containerd of its own on a host of the lab, with CNI's folders where it looks for them.
 *
 *     /srv/containerd   its root          /run/containerd   its state and socket
 *     /srv/rootfs       busybox           /opt/cni/bin      plugins      /etc/cni/net.d   one network list
 *
 * Two ways to start something. `ctr` puts a container on the network itself; it has no option for ports, and
 * no DEL for a detached container. So each container here runs attached to a `ctr` of its own, and what a
 * runtime would inject stands in the list as `runtimeConfig`: the CNI library leaves it there. Over the CRI
 * (cri.ts) containerd puts pods on the network, as it does for Kubernetes.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type Host, type Running, waitFor } from 'tsnet/lab'
import { makeRootFilesystem } from './busybox.ts'
import { CriClient } from './cri.ts'
import { writeImage } from './image.ts'
import { type NetworkList, type Result, withCapabilities } from './libcni.ts'
import { NO_DAEMON } from './no-daemon.ts'
import { installPlugins } from './plugins.ts'

/** The only image there is. */
export const IMAGE = 'tsnet.test/busybox:1'

export const ROOTFS = '/srv/rootfs'
const SOCKET = '/run/containerd/socket'
const SNAPSHOTTERS = ['aufs', 'btrfs', 'devmapper', 'overlayfs', 'zfs']

const common = (version: number) => `
version = ${version}
root = "/srv/containerd"
state = "/run/containerd"
disabled_plugins = [${SNAPSHOTTERS.map(name => `"io.containerd.snapshotter.v1.${name}"`).join(', ')}]
[grpc]
  address = "${SOCKET}"
`

const CONFIG_1 = `${common(2)}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  disable_apparmor = true
  disable_tcp_service = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`

const CONFIG_2 = `${common(3)}
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/opt/cni/bin"] # Debian's has /usr/lib/cni before it
[plugins."io.containerd.grpc.v1.cri"]
  disable_tcp_service = true
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "native"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${IMAGE}"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/${process.arch === 'x64' ? 'amd64' : process.arch}"
  snapshotter = "native"
  differ = "walking"
`

/** Of containerd: 1 or 2. */
const generationOf = async (host: Host): Promise<1 | 2> =>
  / v?1\./.test((await host.run('containerd', '--version')).stdout) ? 1 : 2

export class Containerd {
  readonly host: Host
  readonly #process: Running

  private constructor(host: Host, process: Running) {
    this.host = host
    this.#process = process
  }

  /**
   * Starts containerd.
   * @param list the network that containers and pods join
   * @param ours plugins of the list that are our drop-ins
   */
  static async start(host: Host, list: NetworkList, ours: readonly string[] = []): Promise<Containerd> {
    await host.tmpfs('/srv')
    await installPlugins(host, ours)
    mkdirSync(host.path('/etc/cni/net.d'))
    makeRootFilesystem(host.path(ROOTFS))
    writeFileSync(host.path('/srv/config.toml'), (await generationOf(host)) === 1 ? CONFIG_1 : CONFIG_2)
    writeList(host, list)
    const containerd = new Containerd(
      host,
      host.start('containerd', '-c', '/srv/config.toml', { env: NO_DAEMON }),
    )
    await waitFor(() => containerd.ctr('version'), { what: 'containerd to answer' })
    return containerd
  }

  /** Runs `ctr`. @throws CommandError */
  async ctr(...args: string[]): Promise<string> {
    return (await this.host.run('ctr', '--address', SOCKET, ...args, { env: NO_DAEMON })).stdout
  }

  /**
   * Starts a container by `ctr run --cni` and waits until it is on the network.
   * @param capabilities what a runtime would pass: `{ portMappings: [ … ] }`
   * @throws Error with what ctr said
   */
  async run(
    id: string,
    list: NetworkList,
    capabilities: Record<string, unknown>,
    ...command: string[]
  ): Promise<Container> {
    writeList(this.host, withCapabilities(list, capabilities))
    const options = ['--cni', '--rm', '--null-io', '--rootfs', ROOTFS]
    const words = ['--address', SOCKET, 'run', ...options, id, ...command]
    const running = this.host.start('ctr', ...words, { env: NO_DAEMON })
    let failure: string | undefined
    running.finished.then(({ code, stderr }) => {
      failure = `ctr run ${id} ended with ${code}: ${stderr}`
    })
    const cache = `/var/lib/cni/results/${list.name}-default-${id}-eth0`
    const isUp = async () => {
      if (failure !== undefined) return failure
      const tasks = await this.ctr('task', 'ls')
      return new RegExp(`^${id} .*RUNNING`, 'm').test(tasks)
    }
    const outcome = await waitFor(isUp, { what: `the container ${id} to run` })
    if (typeof outcome === 'string') throw new Error(outcome)
    const { result } = JSON.parse(readFileSync(this.host.path(cache), 'utf8')) as { result: Result }
    return new Container(this, id, result, running)
  }

  /**
   * Starts a container by `ctr run --detach --cni`, kills it and deletes it. ctr 1 never says DEL for such a
   * container; its network is left to whoever collects it. ctr 2 does (`cleansUp`).
   */
  async runAndForget(id: string, ...command: string[]): Promise<void> {
    await this.ctr('run', '--detach', '--cni', '--null-io', '--rootfs', ROOTFS, id, ...command)
    await this.kill(id)
    await waitFor(async () => /STOPPED/.test(await this.ctr('task', 'ls')), { what: `the end of ${id}` })
    await this.ctr('task', 'delete', id)
    await this.ctr('container', 'delete', id)
  }

  /** Whether ctr takes a container that it started detached off the network when its task is deleted. */
  async cleansUp(): Promise<boolean> {
    return (await generationOf(this.host)) > 1
  }

  /** Kills a container. Its shim may have no time to say in time whether there is one. */
  async kill(id: string): Promise<void> {
    await waitFor(() => this.ctr('task', 'kill', '--signal', 'KILL', id).then(() => true), {
      what: `${id} to be killed`,
    })
  }

  /** Loads the image that pods run, and connects. */
  async cri(): Promise<CriClient> {
    mkdirSync(this.host.path('/srv/image'))
    writeImage(this.host.path(ROOTFS), IMAGE, this.host.path('/srv/image'), this.host.path('/srv/image.tar'))
    await this.ctr('--namespace', 'k8s.io', 'images', 'import', '--snapshotter', 'native', '/srv/image.tar')
    return new CriClient(this.host.path(SOCKET))
  }

  async stop(): Promise<void> {
    await this.#process.stop()
  }
}

/** A container that `ctr` started. */
export class Container {
  readonly id: string
  /** What CNI answered. */
  readonly result: Result
  readonly #containerd: Containerd
  readonly #ctr: Running

  constructor(containerd: Containerd, id: string, result: Result, ctr: Running) {
    this.#containerd = containerd
    this.id = id
    this.result = result
    this.#ctr = ctr
  }

  /** Its address of a family, without the prefix length. */
  address(family: 'v4' | 'v6'): string {
    const addresses = (this.result.ips ?? []).map(({ address }) => address.replace(/\/.*/, ''))
    return addresses.find(address => address.includes(':') === (family === 'v6')) ?? `no ${family} address`
  }

  /** Runs a shell command in the container. @returns its output */
  exec(command: string): Promise<string> {
    const id = `exec-${performance.now()}`.replace('.', '-')
    return this.#containerd.ctr('task', 'exec', '--exec-id', id, this.id, '/bin/sh', '-c', command)
  }

  /** Kills the container; its `ctr` then takes it off the network. @throws Error when that fails */
  async remove(): Promise<void> {
    await this.#containerd.kill(this.id)
    const { stderr } = await this.#ctr.finished
    // With cgroups of the first version runc sometimes comes too early for them; that is none of ours.
    const failed = stderr.split('\n').some(line => line.includes('failed to') && !line.includes('cgroup'))
    if (failed) throw new Error(stderr)
  }
}

function writeList(host: Host, list: NetworkList): void {
  writeFileSync(host.path('/etc/cni/net.d/10-test.conflist'), JSON.stringify(list))
}
