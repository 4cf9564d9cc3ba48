/** The file that people and runtimes execute, beside whatever name we were called by. */

import { dirname, join } from 'node:path'

/** Absolute path. */
export const executable = (): string => join(dirname(process.argv[1] ?? ''), 'tsnet')
