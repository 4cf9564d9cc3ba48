/** The capabilities of a thread. Source: capset(2), linux/capability.h. */

import { libc, must } from '../ffi.ts'

/** Of enum CAP_*, what a thread of ours keeps. */
const capabilities = { DAC_OVERRIDE: 1, DAC_READ_SEARCH: 2, SYS_ADMIN: 21 } as const

export type Capability = keyof typeof capabilities

const VERSION_3 = 0x20080522

/** struct __user_cap_data_struct, twice: capabilities 0 to 31, and those above. */
const [EFFECTIVE, PERMITTED, WORDS] = [0, 1, 6]

/** What is not in the list and what the thread does not have is gone; nothing is inherited. @throws SystemError */
export function keepCapabilities(keep: readonly Capability[]): void {
  const header = bytesOf(Uint32Array.of(VERSION_3, 0))
  const has = new Uint32Array(WORDS)
  must('capget', libc.capget(header, bytesOf(has)))
  const kept = keep.reduce((bits, name) => bits | (1 << capabilities[name]), 0) & (has[PERMITTED] ?? 0)
  const wanted = new Uint32Array(WORDS)
  wanted[EFFECTIVE] = wanted[PERMITTED] = kept
  must('capset', libc.capset(header, bytesOf(wanted)))
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)
