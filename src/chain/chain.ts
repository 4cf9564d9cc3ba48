/**
 * A network list, run as a runtime runs it: by hand (`tsnet attach`) and from an OCI hook.
 *
 *     /etc/cni/net.d/*.conflist          networks/       the list of a name
 *            │
 *     ADD  bridge ▶ portmap ▶ tuning     run-list.ts     each gets the result of the one before
 *     DEL  tuning ▶ portmap ▶ bridge     invoke.ts       ours in this process, others by exec from CNI_PATH
 *            │
 *     /var/lib/cni/results/…             networks/       what libcni writes down of an attachment
 *
 * join.ts puts a container that exists on a network, with a free interface name; leave.ts takes it off again
 * with the list and the result that were written down, whatever the files say by now. oci-hook.ts does that
 * for containers whose runtime knows nothing of CNI, by their annotations.
 *
 * A plugin is looked for in CNI_PATH, as a runtime does. Where the file found is this executable, or none is
 * found and the name is a role of ours, it is played in this process: the same call with the same answer,
 * without a start of its own. So what is attached here is no different from what a runtime attached; it has
 * the same record, is found by the same tools, and a runtime's own DEL would take it down.
 *
 * An ADD that fails half-way is followed by DEL of the whole list, as the spec asks of runtimes, and leaves
 * nothing. DEL goes to the end whatever fails, and the entry of the cache stays until all of it succeeded.
 *
 * Limits: no GC or CHECK of lists. The cache is libcni's default; podman and others may keep their own.
 */

export { callsToJoin, type Joined, type JoinRequest, join } from './join.ts'
export { callsToLeave, leave, whoLeaves } from './leave.ts'
export { runOciHook } from './oci-hook.ts'
export { readPort } from './ports.ts'
export { containerIdOf, idsOf, remembered } from './who.ts'
