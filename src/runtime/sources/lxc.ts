/** LXC, by its own `lxc-info`: which process a container has is known to its monitor alone. */

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasCode, messageOf, TsnetError } from '../../model/errors.ts'
import { listNames } from '../files.ts'
import type { Source } from '../found.ts'

const run = promisify(execFile)

/** @param folder below which the containers are configured */
export function lxc(folder: string): Source {
  return {
    runtime: 'lxc',
    list: () =>
      listNames(folder)
        .filter(name => existsSync(join(folder, name, 'config')))
        .map(name => ({ runtime: 'lxc', id: name, name })),
    locate: async found => ({ ...found, pid: await pidOf(folder, found.id) }),
  }
}

const ANSWER_WITHIN_MS = 5_000

/** 0 when it does not run. */
async function pidOf(folder: string, name: string): Promise<number> {
  try {
    const { stdout } = await run('lxc-info', ['-P', folder, '-n', name, '-p', '-H'], {
      timeout: ANSWER_WITHIN_MS,
      killSignal: 'SIGKILL',
    })
    return /^\d{1,10}$/.test(stdout.trim()) ? Number(stdout) : 0
  } catch (cause) {
    const why = hasCode(cause, 'ENOENT') ? 'its command lxc-info is not installed' : messageOf(cause)
    throw new TsnetError('io', `lxc: ${why}`, { cause })
  }
}
