/**
 * What tsnet can do with a network: the only place where the parts meet.
 *
 *     attach   a container gets an interface, an address, rules and ports
 *     detach   all of that goes, in whatever state it is
 *     check    is all of that still there
 *     collect  what belongs to containers that are no more goes
 *     status   could the next attach succeed
 *
 * Every operation first validates everything, then computes a plan as plain values, then applies it, each
 * step with its undo. What exists is written down under the run directory before the first change
 * (records/), so that whoever comes after a crash can take it down with nothing but the key.
 */

export { attach } from './attach.ts'
export { check, faultsOf } from './check.ts'
export { collect } from './collect.ts'
export { type DetachHint, detach } from './detach.ts'
export { status } from './status.ts'
