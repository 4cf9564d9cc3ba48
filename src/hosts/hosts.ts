/**
 * One network over many hosts.
 *
 *     etcd    /tsnet/front/claims/7, /tsnet/front/hosts/<id>
 *       ▲
 *       │ etcd/              JSON over HTTP; a watch
 *       │ claim.ts           a prefix for this host, and how long it may be believed
 *       │ keys.ts            what stands there, and what others wrote there
 *       ▼ membership.ts      its claim (holding.ts); who the others are (following.ts, members.ts), and when that changes
 *     presence.ts ──▶ leading.ts ──▶ carrier/     routes, neighbours, entries and the guard, in the kernel
 *       │ looking.ts         when that is looked at; losses.ts: what others take away of it
 *       │ underlay.ts        where this host is reached
 *       │ kept.ts            its prefix, as a file: all that an ADD needs
 *       │ names/             what containers of all hosts are called
 *       ▼ egress/            by whom what leaves the network does so
 *
 * A host has a prefix of the network's subnet, for itself alone, and gives addresses out of it to its containers without
 * asking anybody. What it says of itself (where it is reached, its link address) hangs on one lease, its prefix on another
 * that lasts longer: so a host that is silent for an hour has no routes elsewhere any more, and gets its prefix back for a
 * day. All times are etcd's; a host believes less than etcd allows (claim.ts).
 *
 * Nothing of ours is an engine: etcd decides who has what, the kernel carries packets, and a daemon that ends leaves both
 * as they are. What goes wrong is tried again, and changes nothing meanwhile. Who attaches a container needs kept.ts alone.
 */

export { HOST_STATES, type HostDetails, type HostRow } from './listed.ts'
export { type Loss, Losses } from './losses.ts'
export type { Away, AwayChange, NameWord } from './names/names.ts'
export { type Passing, Presence } from './presence.ts'
