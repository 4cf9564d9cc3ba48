/** A folder that stands for a host, and one whose changes fail, or end in the middle, when told to. */

import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import type { CommandText, Facts, Wishes } from '../../src/install/install.ts'
import { Surroundings } from '../../src/install/install.ts'

export const commands: CommandText[] = [
  {
    name: 'publish',
    description: "publish ports of a container, '.quoted'",
    usage: '[options] <words...>',
    arguments: [{ name: 'words', description: 'ports, then the container' }],
    options: [
      {
        flags: '-p, --port <port>',
        description: 'as docker [run] -p',
        long: '--port',
        takesValue: true,
        fallback: 'any',
        choices: [],
      },
      { flags: '--json', description: 'as JSON', long: '--json', takesValue: false, choices: [] },
    ],
    examples: [{ words: 'publish -p 80 web', does: '.all' }],
    files: [{ name: '/run/tsnet', means: "'what' was done" }],
    environment: [{ name: 'NO_COLOR', means: 'no colours' }],
  },
  {
    ...{ name: 'ports', description: '.list what is published', usage: '', arguments: [], options: [] },
    ...{ examples: [], files: [], environment: [] },
  },
]

export const facts: Facts = {
  executable: '/srv/tsnet/dist/bin/tsnet',
  version: '1.2.3',
  roles: ['tsnet', 'bridge', 'portmap'],
  commands,
  conflist: '{"name":"tsnet"}\n',
}

export const wishes: Wishes = {
  binDir: '/opt/cni/bin',
  moreBinDirs: [],
  driverDir: '/usr/local/libexec/netavark',
  confDir: '/etc/cni/net.d',
  prefix: '/usr/local',
  as: 'bridge',
  dockerConfig: '/etc/docker/daemon.json',
}

/** An empty host, or one with these files. */
export function hostWith(t: Test, files: Record<string, string> = {}): string {
  const root = mkdtempSync(join(tmpdir(), 'tsnet-install-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text, { mode: 0o751 })
  }
  return root
}

/** Everything in a folder: what it is, what it may, what it holds. */
export function treeOf(root: string): Record<string, string> {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()
  return Object.fromEntries(
    names.map(name => {
      const path = join(root, name)
      const stat = lstatSync(path)
      const mode = (stat.mode & 0o777).toString(8)
      if (stat.isSymbolicLink()) return [name, `-> ${readlinkSync(path)}`]
      return [name, stat.isDirectory() ? 'folder' : `${mode} ${readFileSync(path, 'latin1')}`]
    }),
  )
}

/** Remembers what it ran; the change of this number fails, or it is the last that ever happens. */
export class Troubled extends Surroundings {
  readonly ran: string[] = []
  changes = 0
  readonly #failsAt: number
  readonly #dies: boolean

  constructor(root: string, failsAt = Number.POSITIVE_INFINITY, { dies = false } = {}) {
    super(root)
    this.#failsAt = failsAt
    this.#dies = dies
  }

  override makeFolder(path: string): void {
    this.#change()
    super.makeFolder(path)
  }
  override removeFolder(path: string): void {
    this.#change()
    super.removeFolder(path)
  }
  override putLink(path: string, target: string): void {
    this.#change()
    super.putLink(path, target)
  }
  override putFile(path: string, text: string, mode: number): void {
    this.#change()
    super.putFile(path, text, mode)
  }
  override keep(path: string, aside: string): void {
    this.#change()
    super.keep(path, aside)
  }
  override remove(path: string): void {
    this.#change()
    super.remove(path)
  }
  override rename(from: string, to: string): void {
    this.#change()
    super.rename(from, to)
  }
  override finds(): boolean {
    return true
  }
  override async run(command: readonly string[]): Promise<void> {
    this.#change()
    this.ran.push(command.join(' '))
  }

  #change(): void {
    this.changes++
    if (this.changes === this.#failsAt || (this.#dies && this.changes > this.#failsAt))
      throw new Error(`change ${this.changes} fails`)
  }
}
