/**
 * One network over many hosts.
 *
 *                etcd    /tsnet/front/claims/7, /tsnet/front/hosts/<id>
 *                  ▲
 *                  │ etcd/                JSON over HTTP; a watch
 *     claim.ts ────┤ a prefix for this host, and how long it may be believed
 *     keys.ts      │ what stands there, and what others wrote there
 *     membership.ts┘ who the other hosts are, and when that changes
 *
 * A host has a prefix of the network's subnet, for itself alone, and gives addresses out of it to its containers without
 * asking anybody. What it says of itself (where it is reached, its link address) hangs on one lease, its prefix on another
 * that lasts longer: so a host that is silent for an hour has no routes elsewhere any more, and gets its prefix back for a
 * day. All times are etcd's; a host believes less than etcd allows (claim.ts).
 *
 * Nothing of ours is an engine: etcd decides who has what.
 */

export type { MembershipOptions, MembershipState } from './membership.ts'
export { Membership } from './membership.ts'
