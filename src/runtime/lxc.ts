/** LXC, by its own `lxc-info`: its state lives in the monitor process alone. */

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { listNames } from './files.ts'
import type { Found } from './found.ts'

const run = promisify(execFile)

export const lxcFolder = '/var/lib/lxc'

/** All containers that are configured below a folder, with the first process of those that run. */
export async function listLxc(folder = lxcFolder): Promise<Found[]> {
  const names = listNames(folder).filter(name => existsSync(join(folder, name, 'config')))
  return Promise.all(
    names.map(async name => ({ runtime: 'lxc' as const, id: name, name, pid: await pidOf(folder, name) })),
  )
}

async function pidOf(folder: string, name: string): Promise<number> {
  try {
    const { stdout } = await run('lxc-info', ['-P', folder, '-n', name, '-p', '-H'], { timeout: 10_000 })
    return Number(stdout.trim()) || 0
  } catch {
    return 0
  }
}
