/**
 * A dockerd of its own on a host of the lab, with its own containerd.
 *
 *     /srv/docker   images and containers      /run/docker   its state      /run/docker.sock
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { type Host, type Running, waitFor } from 'tsnet/lab'
import { imageOn, webServer } from './busybox.ts'

const IMAGE = 'busybox:1'

const FOLDERS = ['--data-root', '/srv/docker', '--exec-root', '/run/docker', '--pidfile', '/run/docker.pid']

const PLUGINS = '/etc/docker/plugins'

/** Tells a dockerd that is to be started where our drivers are, as `tsnet install --docker` does. */
export async function offerDrivers(host: Host): Promise<void> {
  await host.tmpfs('/etc/docker', '/var/lib/tsnet')
  mkdirSync(host.path(PLUGINS))
  writeFileSync(host.path(`${PLUGINS}/tsnet.spec`), 'unix:///run/tsnet/docker.sock\n')
}

export class Dockerd {
  readonly host: Host
  /** Of `dockerd`, from its next start on. */
  options: readonly string[]
  #process: Running | undefined

  private constructor(host: Host, options: readonly string[]) {
    this.host = host
    this.options = options
  }

  static async start(host: Host, ...options: string[]): Promise<Dockerd> {
    const image = await imageOn(host)
    const docker = new Dockerd(host, options)
    await docker.up()
    await docker.run('import', image, IMAGE)
    return docker
  }

  async up(): Promise<void> {
    this.#process = this.host.start('dockerd', ...FOLDERS, '--storage-driver', 'vfs', ...this.options)
    await waitFor(() => this.run('version'), { what: 'dockerd to answer' })
  }

  /** Its version, such as 28. */
  async major(): Promise<number> {
    return Number((await this.run('version', '--format', '{{.Server.Version}}')).split('.')[0])
  }

  /**
   * What is left beside a container: its own, and from 27 on, whose rules are for IPv6 too, that the host goes on to
   * forward what those may be counting on.
   */
  async keeps(): Promise<RegExp> {
    return (await this.major()) < 27
      ? /docker|containerd|runc/
      : /docker|containerd|runc|anycast|net\/ipv6\/.*(forwarding|accept_ra)/
  }

  /** Ends it, and its containers with it unless they outlive it (`--live-restore`, or it is killed). */
  async down(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#process?.stop(signal)
  }

  /** Runs `docker`. @throws CommandError */
  async run(...args: string[]): Promise<string> {
    // Docker's own proxy is a process for each port.
    return (await this.host.run('docker', ...args, { withinMs: 180_000 })).stdout.trim()
  }

  /** Starts a web server. @param options of `docker run` */
  async web(name: string, ...options: string[]): Promise<void> {
    await this.run('run', '-d', '--name', name, ...options, IMAGE, ...webServer('web'))
  }

  /** Starts a container that does nothing. @param options of `docker run` */
  async idle(name: string, ...options: string[]): Promise<void> {
    await this.run('run', '-d', '--name', name, ...options, IMAGE, '/bin/busybox', 'sleep', '1000')
  }

  /** Runs a container that does nothing, to its end. @param options of `docker run` */
  async once(...options: string[]): Promise<void> {
    await this.run('run', ...options, IMAGE, '/bin/busybox', 'true')
  }

  /** Its first process, on the host. */
  async pid(name: string): Promise<number> {
    return Number(await this.run('inspect', '--format', '{{.State.Pid}}', name))
  }

  /** Its address on docker0. */
  address(name: string): Promise<string> {
    return this.run('inspect', '--format', '{{.NetworkSettings.IPAddress}}', name)
  }
}
