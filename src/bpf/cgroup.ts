/**
 * The root of the second hierarchy of control groups, and programs that hold on to it.
 *
 * Every process and every socket is in that hierarchy, also on hosts that sort their services by the first one and have
 * the second mounted elsewhere or nowhere. So it is not looked for: a mount of our own, which stands in no namespace
 * and goes with its descriptor, shows it (fsopen(2), Linux 5.2).
 */

import { constants, openSync } from 'node:fs'
import { Fd } from '../ffi/fd.ts'
import { libc, must } from '../ffi/ffi.ts'
import { attr, BPF_LINK_CREATE, bpf } from './bpf.ts'

/** enum bpf_attach_type */
export const BPF_CGROUP_INET4_CONNECT = 10
export const BPF_CGROUP_INET6_CONNECT = 11
export const BPF_CGROUP_INET4_GETPEERNAME = 29
export const BPF_CGROUP_INET6_GETPEERNAME = 30

// The same numbers on all processors (asm/unistd.h).
const [SYS_FSOPEN, SYS_FSCONFIG, SYS_FSMOUNT] = [430, 431, 432] as const
const FSOPEN_CLOEXEC = 1
const FSMOUNT_CLOEXEC = 1
const FSCONFIG_CMD_CREATE = 6

/** The folder of the root group, as far as we see it. @throws SystemError */
export function openCgroupRoot(): Fd {
  using context = new Fd(must('fsopen cgroup2', libc.fsopen(SYS_FSOPEN, 'cgroup2', FSOPEN_CLOEXEC)))
  const create = libc.fsconfig(SYS_FSCONFIG, context.number, FSCONFIG_CMD_CREATE, null, null, 0)
  must('fsconfig cgroup2', create)
  const mounted = libc.fsmount(SYS_FSMOUNT, context.number, FSMOUNT_CLOEXEC, 0)
  using mount = new Fd(must('fsmount cgroup2', mounted))
  return new Fd(openSync(`/proc/self/fd/${mount.number}`, constants.O_RDONLY | constants.O_DIRECTORY))
}

/**
 * Lets a program see what a group and those below it do, beside the programs of others, for as long as the descriptor is
 * open.
 * @throws SystemError `EPERM`, too, where somebody else's program stands there and wants to be alone
 */
export const attachToCgroup = (program: Fd, cgroup: Fd, attachType: number): Fd =>
  new Fd(
    bpf('BPF_LINK_CREATE', BPF_LINK_CREATE, attr([0, program.number], [4, cgroup.number], [8, attachType])),
  )
