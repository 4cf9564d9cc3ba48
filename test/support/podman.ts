/**
 * A podman of its own on a host of the lab, with CNI as its network backend as long as podman has that: up to 4. From
 * 5 on it has netavark alone, whose own network `podman` its containers join.
 *
 *     /srv/podman   images and containers      /run/podman   its state
 *     /opt/cni/bin  plugins                    /etc/cni/net.d   one network list
 */

import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import type { Host, Running } from 'tsnet/lab'
import { imageOn } from './busybox.ts'
import type { NetworkList } from './libcni.ts'
import { NO_DAEMON } from './no-daemon.ts'
import { installPlugins } from './plugins.ts'
import { siteFor } from './site.ts'

const IMAGE = 'busybox:1'

/** Whether podman can be told to use CNI. */
export function hasCni(): boolean {
  const { stdout } = spawnSync('podman', ['--version'], { encoding: 'utf8' })
  return Number(/ (\d+)\./.exec(stdout)?.[1]) < 5
}

/**
 * What podman leaves of itself. Its cleanup of a container that ended goes on beside us, with a socket that the kernel
 * named; netavark takes back neither its tables nor that the host forwards.
 */
export const PODMANS = new RegExp(
  [
    ...['podman', 'socket host unix @[0-9a-f]{5} ', '/run/runc', 'mount /run/netns'],
    ...(hasCni() ? [] : ['netavark', '/run/containers', '/ip_forward', '/forwarding', 'accept_redirects']),
  ].join('|'),
)

const backends = {
  cni: `
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
network_config_dir = "/etc/cni/net.d"`,
  netavark: `
network_backend = "netavark"
network_config_dir = "/srv/networks"
netavark_plugin_dirs = ["${resolve('dist/netavark')}"]`,
}

const configuration = (backend: keyof typeof backends, network: string) => `
[network]${backends[backend]}
default_network = "${network}"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
`

const FOLDERS = ['--root', '/srv/podman', '--runroot', '/run/podman', '--tmpdir', '/run/podman/tmp']
const OPTIONS = [...FOLDERS, '--storage-driver', 'vfs', '--runtime', 'runc']
/** Where its configuration is. */
export const CONFIGURED = {
  CONTAINERS_CONF: '/srv/containers.conf',
  CONTAINERS_STORAGE_CONF: '/srv/storage.conf',
} as const

const ENVIRONMENT = {
  ...NO_DAEMON,
  CONTAINERS_CONF: CONFIGURED.CONTAINERS_CONF,
  TMPDIR: '/srv',
  PODMAN_IGNORE_CGROUPSV1_WARNING: '1',
}

export class Podman {
  readonly host: Host
  readonly network: string

  private constructor(host: Host, network: string) {
    this.host = host
    this.network = network
  }

  /**
   * @param list the network that containers join
   * @param ours plugins of the list that are our drop-ins
   */
  static async start(host: Host, list: NetworkList, ours: readonly string[] = []): Promise<Podman> {
    const image = await imageOn(host)
    await installPlugins(host, ours)
    mkdirSync(host.path('/etc/cni/net.d'))
    writeFileSync(host.path('/etc/cni/net.d/10-test.conflist'), JSON.stringify(list))
    const [backend, network] = hasCni() ? (['cni', list.name] as const) : (['netavark', 'podman'] as const)
    writeFileSync(host.path('/srv/containers.conf'), configuration(backend, network))
    const storage = '[storage]\ndriver = "vfs"\ngraphroot = "/srv/podman"\n'
    writeFileSync(host.path(CONFIGURED.CONTAINERS_STORAGE_CONF), storage)
    const podman = new Podman(host, network)
    await podman.run('import', image, IMAGE)
    return podman
  }

  /** Runs `podman`. @throws CommandError */
  async run(...args: string[]): Promise<string> {
    return (await this.host.run('podman', ...OPTIONS, ...args, { env: ENVIRONMENT })).stdout.trim()
  }

  /** Starts the service that answers on /run/podman/podman.sock. */
  serve(): Running {
    const words = ['system', 'service', '--time', '0', 'unix:///run/podman/podman.sock']
    return this.host.start('podman', ...OPTIONS, ...words, { env: ENVIRONMENT })
  }

  /** Starts a container. @param options of `podman run`, such as `-p 8080:80` */
  async container(name: string, options: string[], ...command: string[]): Promise<void> {
    await this.run('run', '-d', '--name', name, ...options, IMAGE, ...command)
  }

  /** Runs a shell command in a container. @returns its output */
  shell(name: string, command: string): Promise<string> {
    return this.run('exec', name, '/bin/sh', '-c', command)
  }

  /** Its addresses as `podman inspect` has them. */
  async addresses(name: string): Promise<{ v4: string; v6: string }> {
    const format = `{{with index .NetworkSettings.Networks "${this.network}"}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}`
    const [v4 = '', v6 = ''] = (await this.run('inspect', '--format', format, name)).split(' ')
    return { v4, v6 }
  }
}

/** What needs a podman whose netavark has driver plugins; where there is none, that it says so itself. */
export function needPlugins(tests: () => void): void {
  if (!hasCni()) {
    tests()
    return
  }
  t.test('podman up to 4 knows no driver but its own, and says so', async t => {
    const { host } = await siteFor(t)
    await host.tmpfs('/srv')
    await installPlugins(host, [])
    writeFileSync(host.path('/srv/containers.conf'), configuration('cni', 'podman'))
    const create = host.run('podman', ...OPTIONS, 'network', 'create', '-d', 'tsnet', 'front', {
      env: ENVIRONMENT,
    })
    await t.rejects(create, /unsupported driver tsnet/)
  })
}

/** What needs a podman with CNI; where there is none, that it says so itself. */
export function needCni(tests: () => void): void {
  if (hasCni()) {
    tests()
    return
  }
  t.test('podman from 5 on has no CNI, and says so', async t => {
    const { host } = await siteFor(t)
    await host.tmpfs('/srv')
    writeFileSync(host.path('/srv/containers.conf'), configuration('cni', 'podman'))
    await t.rejects(
      host.run('podman', ...OPTIONS, 'info', { env: ENVIRONMENT }),
      /cni support is not enabled/,
    )
  })
}
