/**
 * What a thread may do from now on. Capabilities, no_new_privs and system call filters are the thread's own in Linux,
 * whatever the manual pages of a process say: one thread can have less than the others.
 *
 *     confine()  ──▶  capset(2)                  the capabilities that its work needs, and no others
 *                ──▶  prctl(PR_SET_NO_NEW_PRIVS) nothing that it executes gets more
 *                ──▶  seccomp(2)                 it executes nothing, changes no file, speaks no netlink
 *
 * It is no wall between two threads of a process, which share their memory. It is for what comes in over the network:
 * a fault in how bytes of strangers are handled, in our code or in what it calls, cannot load a module, mount, trace,
 * write a file or change an interface by a system call of this thread.
 *
 * What such a thread starts has as little as itself. libuv's pool is started by the first who needs it: a confined
 * thread must leave it alone, or the files of all threads would be read by confined ones.
 */

import { libc } from '../ffi.ts'
import { type Capability, keepCapabilities } from './capabilities.ts'
import { filterSystemCalls } from './seccomp.ts'

const PR_SET_NO_NEW_PRIVS = 38 // linux/prctl.h

/**
 * For the thread that calls, and for good. A kernel without system call filters leaves it at the rest.
 * @param keep of the capabilities that it has
 * @throws SystemError for what no kernel that we run on refuses
 */
export function confine(...keep: Capability[]): void {
  keepCapabilities(keep)
  libc.prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0)
  filterSystemCalls()
}
