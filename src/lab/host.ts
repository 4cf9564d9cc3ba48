/**
 * A host: network, mount and pid namespaces of its own, on the machine's files.
 *
 * /proc, /sys, /run, /etc/cni, /var/lib/cni and /var/lib/tsnet are its own and start empty; all else is the machine's. What
 * the host keeps in these folders can be read from the test process under `host.path(…)`.
 */

import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { openNetns } from '../netns/netns.ts'
import { EMPTY_FOLDERS, type Holder, startHolder } from './holder.ts'
import { setUp } from './links.ts'
import { Place } from './place.ts'

/** Folders that tsnet and other CNI plugins write to. */
const OWN_FOLDERS = ['/etc/cni', '/var/lib/cni']

/**
 * What is published there shall not be published here, nor what is published here there. The machine gets an empty one where it
 * has none: an overlay over the folder above would be one over that of every runtime.
 */
const NOT_THE_MACHINES = '/var/lib/tsnet'

export class Host extends Place {
  readonly namespaces: Namespace[] = []
  readonly #holder: Holder

  constructor(name: string, holder: Holder) {
    super(name, openNetns(`/proc/${holder.pid}/ns/net`))
    this.#holder = holder
    setUp(this.netns, 'lo')
  }

  protected enter(): string[] {
    return nsenter(this.#holder, this.netns.fd)
  }

  /** Where the test process finds a file of this host. Absolute links in it lead to the machine's files. */
  path(file: string): string {
    return `/proc/${this.#holder.pid}/root${file}`
  }

  /** Gives the host folders of its own, empty ones; the machine need not have them. */
  async tmpfs(...folders: string[]): Promise<void> {
    await this.run('sh', '-ec', EMPTY_FOLDERS, 'lab', ...folders)
  }

  /** A container's network namespace at /run/netns/NAME, with `lo` up. */
  async namespace(name: string): Promise<Namespace> {
    const path = `/run/netns/${name}`
    await this.run('sh', '-c', 'set -C; : >"$1"; exec unshare --net="$1" true', 'sh', path)
    const namespace = new Namespace(name, this, this.#holder)
    setUp(namespace.netns, 'lo')
    this.namespaces.push(namespace)
    return namespace
  }

  /** The processes of this host, oldest first, without those that keep it. */
  processes(): Process[] {
    const root = this.path('/proc')
    const pids = readdirSync(root).filter(name => /^\d+$/.test(name))
    const processes = pids.flatMap(pid => readProcess(root, Number(pid)))
    return processes.filter(({ pid }) => !this.#holder.inner.includes(pid))
  }

  /** Processes that nobody holds: daemons, and children that were forgotten. */
  strays(): Process[] {
    const processes = this.processes()
    // What was left alone is init's child, or descends from one; a held command comes from outside.
    const left = ({ parent }: Process): boolean =>
      parent === 1 || processes.some(process => process.pid === parent && left(process))
    return processes.filter(left)
  }

  /** Ends the host with everything in it. */
  override async end(): Promise<void> {
    await this.#holder.end()
    await Promise.all([...this.namespaces.map(namespace => namespace.end()), super.end()])
  }
}

/** A container's network namespace on a host; commands run here see the host's files and processes. */
export class Namespace extends Place {
  readonly host: Host
  /** As the host sees it: what a runtime would put into CNI_NETNS. */
  readonly path: string
  readonly #holder: Holder

  constructor(name: string, host: Host, holder: Holder) {
    const path = `/run/netns/${name}`
    super(name, openNetns(host.path(path)))
    this.host = host
    this.path = path
    this.#holder = holder
  }

  protected enter(): string[] {
    return nsenter(this.#holder, this.netns.fd)
  }

  /** Removes the namespace, as a runtime does when a container is gone. */
  async remove(): Promise<void> {
    this.host.namespaces.splice(this.host.namespaces.indexOf(this), 1)
    await this.host.run('sh', '-c', 'umount -l "$1" && rm "$1"', 'sh', this.path)
    await this.end()
  }
}

export interface Process {
  /** In the host's pid namespace. */
  pid: number
  /** 0 for one that was started from outside. */
  parent: number
  command: string
}

function readProcess(root: string, pid: number): Process[] {
  try {
    const words = readFileSync(`${root}/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
    const status = readFileSync(`${root}/${pid}/status`, 'utf8')
    const [, name = ''] = /^Name:\t(.*)$/m.exec(status) ?? []
    const [, parent = ''] = /^PPid:\t(\d+)$/m.exec(status) ?? []
    return [{ pid, parent: Number(parent), command: words || `[${name}]` }]
  } catch {
    return [] // gone since the folder was listed
  }
}

// Our own descriptor names the namespace, so that it can be entered whatever happened to its path.
function nsenter(holder: Holder, netFd: number): string[] {
  const { pid } = holder
  const net = `/proc/${process.pid}/fd/${netFd}`
  return ['nsenter', `--mount=/proc/${pid}/ns/mnt`, `--pid=/proc/${pid}/ns/pid`, `--net=${net}`, '--']
}

/** Makes a host. @throws TsnetError, see startHolder */
export async function startHost(name: string): Promise<Host> {
  try {
    mkdirSync(NOT_THE_MACHINES, { recursive: true, mode: 0o700 })
  } catch {
    // Whoever may not is told so next.
  }
  const holder = await startHolder([...OWN_FOLDERS, NOT_THE_MACHINES])
  try {
    return new Host(name, holder)
  } catch (thrown) {
    await holder.end()
    throw thrown
  }
}
