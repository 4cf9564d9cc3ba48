/**
 * LXC on a host of the lab, with its own bridge.
 *
 *     /var/lib/lxc   containers      lxcbr0 10.0.3.1/24, 2001:db8:3::1/64
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import type { Host } from 'tsnet/lab'
import { makeRootFilesystem } from './busybox.ts'

export class Lxc {
  readonly host: Host

  private constructor(host: Host) {
    this.host = host
  }

  static async start(host: Host): Promise<Lxc> {
    await host.tmpfs('/var/lib/lxc')
    await onlyUnified(host)
    host.bridge('lxcbr0', { addresses: ['10.0.3.1/24', '2001:db8:3::1/64'] })
    return new Lxc(host)
  }

  /**
   * Makes a container whose init is the command, without starting it.
   * @param number its address on lxcbr0; undefined: it gets nothing but loopback
   */
  create(name: string, number: number | undefined, command: string[]): void {
    const folder = `/var/lib/lxc/${name}`
    mkdirSync(this.host.path(folder))
    makeRootFilesystem(this.host.path(`${folder}/rootfs`))
    const settings = {
      'uts.name': name,
      'rootfs.path': `dir:${folder}/rootfs`,
      'init.cmd': command.join(' '),
      'mount.auto': 'proc:rw',
      'apparmor.profile': 'unconfined',
      ...(number === undefined ? { 'net.0.type': 'empty' } : networkOf(number)),
    }
    const lines = Object.entries(settings).map(([key, value]) => `lxc.${key} = ${value}\n`)
    writeFileSync(this.host.path(`${folder}/config`), lines.join(''))
  }

  async up(name: string): Promise<void> {
    await this.host.run('lxc-start', '-n', name)
  }

  async down(name: string): Promise<void> {
    await this.host.run('lxc-stop', '-k', '-n', name)
  }
}

/** LXC 7 cannot do with cgroups of both versions at once: it gets the second alone, where this machine mixes them. */
async function onlyUnified(host: Host): Promise<void> {
  const [major = ''] = (await host.run('lxc-start', '--version')).stdout.split('.')
  const layout = (await host.run('stat', '-fc', '%T', '/sys/fs/cgroup')).stdout.trim()
  if (Number(major) < 6 || layout === 'cgroup2fs') return
  await host.run('mount', '-t', 'cgroup2', 'cgroup2', '/sys/fs/cgroup')
}

const networkOf = (number: number) => ({
  'net.0.type': 'veth',
  'net.0.link': 'lxcbr0',
  'net.0.flags': 'up',
  'net.0.ipv4.address': `10.0.3.${number}/24`,
  'net.0.ipv4.gateway': 'auto',
  'net.0.ipv6.address': `2001:db8:3::${number}/64`,
  'net.0.ipv6.gateway': 'auto',
})
