/** The host that is installed on, or a folder that stands for it. */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'

export class Surroundings {
  /** Absolute, without links; empty for this host. */
  readonly root: string

  /** @param root a folder that stands for `/`; empty: this host */
  constructor(root = '') {
    this.root = root === '' ? '' : realpathSync(root)
  }

  /** Where a path of the host is for us. */
  at(path: string): string {
    return join(this.root, path)
  }

  /** What is at a path: a link's target, a file's text, nothing, or something that we leave alone. */
  lookAt(path: string): { link: string } | { text: string; mode: number } | 'nothing' | 'other' {
    const place = this.at(path)
    try {
      const stat = lstatSync(place)
      if (stat.isSymbolicLink()) return { link: readlinkSync(place) }
      if (!stat.isFile()) return 'other'
      return { text: readFileSync(place, 'latin1'), mode: stat.mode & 0o7777 }
    } catch (thrown) {
      if (hasCode(thrown, 'ENOENT', 'ENOTDIR')) return 'nothing'
      throw thrown
    }
  }

  /** The folders above a path that are not there, the top one first. */
  missingFolders(path: string): string[] {
    const missing: string[] = []
    for (
      let folder = dirname(path);
      this.lookAt(folder) === 'nothing' && folder !== '/';
      folder = dirname(folder)
    )
      missing.unshift(folder)
    return missing
  }

  makeFolder(path: string): void {
    mkdirSync(this.at(path))
  }

  /** Removes a folder if it is empty, and nothing is mounted there. */
  removeFolder(path: string): void {
    try {
      rmdirSync(this.at(path))
    } catch (thrown) {
      if (!hasCode(thrown, 'ENOENT', 'ENOTEMPTY', 'EEXIST', 'EBUSY')) throw thrown
    }
  }

  /** At once, in place of whatever was there. */
  putLink(path: string, target: string): void {
    this.#put(path, place => symlinkSync(target, place))
  }

  /** @param text as latin1, so that bytes stay what they are */
  putFile(path: string, text: string, mode: number): void {
    this.#put(path, place => writeFileSync(place, text, { encoding: 'latin1', mode }))
  }

  /**
   * Follows links; the path itself where there is nothing.
   * @throws TsnetError `invalid-config` for one that leads out of the root, `io` for one that leads nowhere
   */
  resolve(path: string): string {
    if (this.lookAt(path) === 'nothing') return path
    const place = this.#follow(path)
    if (this.root === '') return place
    if (place.startsWith(`${this.root}/`)) return place.slice(this.root.length)
    throw new TsnetError(
      'invalid-config',
      `${path} leads out of ${this.root}, to ${place}; nothing was changed`,
    )
  }

  /** True where a path of the host and one of ours lead to the same folder: any executable in there is us. */
  leadTogether(path: string, ours: string): boolean {
    try {
      return dirname(realpathSync(this.at(path))) === dirname(realpathSync(ours))
    } catch {
      return false
    }
  }

  /** True where a program is found by its name. */
  finds(program: string): boolean {
    const folders = process.env.PATH?.split(':') ?? []
    return folders.some(folder => isExecutable(join(folder, program)))
  }

  /** A second name for the same file: at no moment is there nothing at the path. */
  keep(path: string, aside: string): void {
    rmSync(this.at(aside), { force: true })
    linkSync(this.at(path), this.at(aside))
  }

  remove(path: string): void {
    rmSync(this.at(path), { force: true })
  }

  rename(from: string, to: string): void {
    renameSync(this.at(from), this.at(to))
  }

  /** Runs a command of the host. @throws TsnetError `io` with what it said */
  run([program = '', ...args]: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      execFile(program, args, (cause, _, stderr) => {
        if (cause === null) resolve()
        else {
          const said = stderr.trim() || messageOf(cause)
          reject(new TsnetError('io', `${[program, ...args].join(' ')} failed: ${said}`, { cause }))
        }
      })
    })
  }

  #follow(path: string): string {
    try {
      return realpathSync(this.at(path))
    } catch (cause) {
      throw new TsnetError('io', `${path} leads nowhere: ${messageOf(cause)}; nothing was changed`, { cause })
    }
  }

  #put(path: string, make: (place: string) => void): void {
    const fresh = this.at(`${path}.tsnet-new`)
    rmSync(fresh, { force: true })
    try {
      make(fresh)
      renameSync(fresh, this.at(path))
    } catch (thrown) {
      rmSync(fresh, { force: true })
      throw thrown
    }
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export const digest = (text: string): string => createHash('sha256').update(text, 'latin1').digest('hex')
