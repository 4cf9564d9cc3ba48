/** Programs: bytes that the kernel has looked through and will run. */

import { Fd } from '../ffi/fd.ts'
import { SystemError } from '../ffi/ffi.ts'
import { TsnetError } from '../model/errors.ts'
import { attr, BPF_PROG_LOAD, bpf, pinned, pinnedCopy } from './bpf.ts'
import { assemble, INSN_SIZE, type Line } from './instructions.ts'

/** enum bpf_prog_type */
export const BPF_PROG_TYPE_CGROUP_SOCK_ADDR = 18

const LOG_SIZE = 1 << 20
const NAME_AT = 48
const NAME_SIZE = 16

/** What a program is for. */
export interface Purpose {
  /** As people see it, up to 15 letters, digits and `_`. */
  name: string
  type: number
  /** enum bpf_attach_type */
  attachType: number
  /** Of its lines. What reads the kernel's structures has to be compatible with the GPL (linux/license.h). */
  licence: string
}

/**
 * Loads a program.
 * @throws SystemError `EPERM`; TsnetError `kernel` with what the verifier says against it
 */
export function loadProgram({ name, type, attachType, licence }: Purpose, lines: readonly Line[]): Fd {
  const code = pinnedCopy(assemble(lines))
  const union = attr(
    [0, type],
    [4, code.length / INSN_SIZE],
    [8, code],
    [16, pinnedCopy(new TextEncoder().encode(`${licence}\0`))],
    [68, attachType], // expected_attach_type
  )
  union.set(new TextEncoder().encode(name).subarray(0, NAME_SIZE - 1), NAME_AT)
  try {
    return new Fd(bpf(`BPF_PROG_LOAD ${name}`, BPF_PROG_LOAD, union))
  } catch (thrown) {
    if (!(thrown instanceof SystemError) || thrown.code === 'EPERM') throw thrown
    throw new TsnetError('kernel', thrown.message, { cause: thrown, details: verdictOn(union) })
  }
}

/** Asks again, for the log, which takes time to write. */
function verdictOn(union: Uint8Array): string {
  const log = pinned(LOG_SIZE)
  union.set(attr([24, 1], [28, log.length], [32, log]).subarray(24, 40), 24) // log_level, log_size, log_buf
  try {
    new Fd(bpf('BPF_PROG_LOAD', BPF_PROG_LOAD, union)).close()
  } catch {
    // said in the log
  }
  const text = Buffer.from(log.buffer)
  return text.toString('latin1', 0, text.indexOf(0)).trim()
}
