/** Which boot of the kernel this is. */

import { readFileSync } from 'node:fs'

/** The kernel's boot_id, a UUID that changes with every boot. */
export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
