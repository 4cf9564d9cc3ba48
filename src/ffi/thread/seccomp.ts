/**
 * A filter of system calls, as classic BPF. Source: seccomp(2), linux/filter.h, asm/unistd.h, asm-generic/unistd.h.
 *
 *     another architecture's numbers   EPERM: they would mean other calls
 *     a call of the list               EPERM
 *     socket, setns, open, openat      their argument decides; openat2's are in memory, where no filter looks
 *     all others                       go on; the kernel keeps in a bitmap which need no filter, and they cost nothing
 *
 * What is refused is what a thread never does that moves bytes between sockets, and which with root's capabilities
 * would change the host. The list does not name what such a thread may do: what V8 and libc call differs from version to
 * version, and a call that is missing there would be an outage.
 */

import { endianness } from 'node:os'
import { addressOf, libc } from '../ffi.ts'
import { AF_INET, AF_INET6 } from '../sockaddr.ts'

const AF_UNIX = 1

const PR_SET_SECCOMP = 22 // linux/prctl.h
const SECCOMP_MODE_FILTER = 2
const ALLOW = 0x7fff0000
const REFUSE = 0x00050001 // SECCOMP_RET_ERRNO, EPERM

/** AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64. */
const audit = { x64: 0xc000003e, arm64: 0xc00000b7 } as const

/** Whose numbers are in the table. */
type Arch = keyof typeof audit

/** x64 knows another set of calls by numbers from here on (x32). */
const X32 = 0x40000000

/** Name, number on x64, number on arm64, which lacks the old ones. */
const refused: readonly (readonly [name: string, x64: number, arm64?: number])[] = [
  // starting programs, reading the memory and descriptors of others
  ['execve', 59, 221],
  ['execveat', 322, 281],
  ['fork', 57],
  ['vfork', 58],
  ['ptrace', 101, 117],
  ['process_vm_readv', 310, 270],
  ['process_vm_writev', 311, 271],
  ['pidfd_getfd', 438, 438],
  // mounts, roots and namespaces
  ['mount', 165, 40],
  ['umount2', 166, 39],
  ['pivot_root', 155, 41],
  ['chroot', 161, 51],
  ['unshare', 272, 97],
  ['move_mount', 429, 429],
  ['open_tree', 428, 428],
  ['fsopen', 430, 430],
  ['fspick', 433, 433],
  ['fsconfig', 431, 431],
  ['fsmount', 432, 432],
  ['mount_setattr', 442, 442],
  ['open_by_handle_at', 304, 265],
  // the kernel itself
  ['bpf', 321, 280],
  ['perf_event_open', 298, 241],
  ['io_uring_setup', 425, 425],
  ['userfaultfd', 323, 282],
  ['add_key', 248, 217],
  ['request_key', 249, 218],
  ['keyctl', 250, 219],
  ['init_module', 175, 105],
  ['finit_module', 313, 273],
  ['delete_module', 176, 106],
  ['kexec_load', 246, 104],
  ['kexec_file_load', 320, 294],
  ['reboot', 169, 142],
  ['swapon', 167, 224],
  ['swapoff', 168, 225],
  ['acct', 163, 89],
  ['quotactl', 179, 60],
  ['syslog', 103, 116],
  ['iopl', 172],
  ['ioperm', 173],
  ['sethostname', 170, 161],
  ['setdomainname', 171, 162],
  ['settimeofday', 164, 170],
  ['clock_settime', 227, 112],
  ['clock_adjtime', 305, 266],
  ['adjtimex', 159, 171],
  // files
  ['creat', 85],
  ['truncate', 76, 45],
  ['ftruncate', 77, 46],
  ['unlink', 87],
  ['unlinkat', 263, 35],
  ['rename', 82],
  ['renameat', 264, 38],
  ['renameat2', 316, 276],
  ['mkdir', 83],
  ['mkdirat', 258, 34],
  ['rmdir', 84],
  ['link', 86],
  ['linkat', 265, 37],
  ['symlink', 88],
  ['symlinkat', 266, 36],
  ['mknod', 133],
  ['mknodat', 259, 33],
  ['chmod', 90],
  ['fchmod', 91, 52],
  ['fchmodat', 268, 53],
  ['fchmodat2', 452, 452],
  ['chown', 92],
  ['lchown', 94],
  ['fchown', 93, 55],
  ['fchownat', 260, 54],
  ['setxattr', 188, 5],
  ['lsetxattr', 189, 6],
  ['fsetxattr', 190, 7],
  ['removexattr', 197, 14],
  ['lremovexattr', 198, 15],
  ['fremovexattr', 199, 16],
]

/** O_WRONLY, O_RDWR and O_CREAT: a file may be read. */
const WRITES = 0o103
const CLONE_NEWNET = 0x40000000

/** Calls that depend on an argument: number on x64 and arm64, which argument, what it may be. */
const examined: readonly {
  numbers: readonly [x64: number, arm64?: number]
  argument: number
  allowed: { values: readonly number[] } | { without: number }
}[] = [
  { numbers: [41, 198], argument: 0, allowed: { values: [AF_UNIX, AF_INET, AF_INET6] } }, // socket
  { numbers: [308, 268], argument: 1, allowed: { values: [CLONE_NEWNET] } }, // setns
  { numbers: [257, 56], argument: 2, allowed: { without: WRITES } }, // openat
  { numbers: [2], argument: 1, allowed: { without: WRITES } }, // open
]

// struct seccomp_data
const NUMBER = 0
const ARCH = 4
const ARGUMENTS = 16

/** struct sock_filter */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, k: number]

const load = (offset: number): Instruction => [0x20, 0, 0, offset] // BPF_LD | BPF_W | BPF_ABS
const answer = (verdict: number): Instruction => [0x06, 0, 0, verdict] // BPF_RET | BPF_K
const JUMP = { equal: 0x15, atLeast: 0x35, anyBit: 0x45 } // BPF_JMP | BPF_JEQ, BPF_JGE, BPF_JSET

/** Goes on with the next instruction unless the condition holds; then the call is refused. */
const refuseIf = (jump: keyof typeof JUMP, k: number): readonly Instruction[] => [
  [JUMP[jump], 0, 1, k],
  answer(REFUSE),
]

/** The filter of an architecture. */
export function filterOf(arch: Arch): readonly Instruction[] {
  const column = arch === 'x64' ? 0 : 1
  const numbers = refused.flatMap(([, ...columns]) => columns[column] ?? [])
  const arguments_ = examined.flatMap(({ numbers, argument, allowed }): Instruction[] => {
    const number = numbers[column]
    if (number === undefined) return []
    const low = ARGUMENTS + 8 * argument // of 64 bits the lower half, in this byte order
    const decide: readonly Instruction[] =
      'values' in allowed
        ? [...allowed.values.flatMap(value => allowIf(value)), answer(REFUSE)]
        : [...refuseIf('anyBit', allowed.without), answer(ALLOW)]
    return [[JUMP.equal, 0, decide.length + 1, number], load(low), ...decide]
  })
  return [
    load(ARCH),
    [JUMP.equal, 1, 0, audit[arch]],
    answer(REFUSE),
    load(NUMBER),
    ...(arch === 'x64' ? refuseIf('atLeast', X32) : []),
    ...numbers.flatMap(number => refuseIf('equal', number)),
    ...arguments_,
    answer(ALLOW),
  ]
}

const allowIf = (value: number): readonly Instruction[] => [[JUMP.equal, 0, 1, value], answer(ALLOW)]

/**
 * For the calling thread, which has no_new_privs, and for good. Nothing where the kernel has no such filters, or on an
 * architecture whose numbers are not in the table.
 */
export function filterSystemCalls(): void {
  const arch = process.arch
  if ((arch !== 'x64' && arch !== 'arm64') || endianness() !== 'LE') return
  const instructions = filterOf(arch)
  const code = new Uint8Array(instructions.length * 8)
  const view = new DataView(code.buffer)
  instructions.forEach(([operation, ifTrue, ifFalse, k], n) => {
    view.setUint16(8 * n, operation, true)
    view.setUint8(8 * n + 2, ifTrue)
    view.setUint8(8 * n + 3, ifFalse)
    view.setUint32(8 * n + 4, k, true)
  })
  const program = new DataView(new ArrayBuffer(16)) // struct sock_fprog
  program.setUint16(0, instructions.length, true)
  program.setBigUint64(8, addressOf(code), true)
  libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, new Uint8Array(program.buffer), 0, 0)
}
