/**
 * The networks of this host: lists in the folder where runtimes look, whoever wrote them, and who is on them.
 *
 *     words ── wish/ ──▶ a wish: plain values, in themselves without contradiction
 *                 │ create.ts                    under a lock, so that two do not choose the same
 *                 ├── taken.ts                   what of the address space is whose: lists, leases, addresses, routes
 *                 ├── subnets.ts                 the choice of a subnet
 *                 ├── list.ts                    the list, checked as the plugin reads it
 *                 ▼ file.ts                      whole, or not there
 *     /etc/cni/net.d/90-NAME.conflist ◀── runtime/conflist.ts ── any runtime, `tsnet attach`, look.ts
 *
 * A network made by hand is that file and nothing else: runtimes name it, it survives what the file survives, and whoever
 * removes the file has removed the network. Bridge, rules and addresses come with the first container and go with the
 * last, as with any other list. Lists of others are seen in the same way, and are not removed.
 *
 * known.ts tells who is on a network, from what libcni wrote down (cache.ts) and from our own records. So of containers
 * that are stopped and have no namespace, only their runtime knows. With that, remove.ts refuses, or takes them off by
 * what it is given for that: running a list is done above (chain/).
 *
 * A network may be made for another engine (podman network create -d tsnet), and says so; where that one tells nobody that
 * it is removed, abandoned.ts finds out.
 *
 * A failure leaves nothing: all is chosen and checked before the file is written, and it appears in one step.
 *
 * Limits: subnets are compared with this host alone. What other folders than CONF_DIR hold counts when a subnet, a bridge
 * or a name is chosen, and is not listed. Docker's networks are seen by their bridges' routes.
 */

export {
  CONF_DIR,
  filesIn,
  findNetworkList,
  listNetworks,
  type NetworkList,
  noSuchNetwork,
  parseNetworkList,
} from '../runtime/conflist.ts'
export { findAbandoned, isKept, podmansOn } from './abandoned.ts'
export { ATTACHED_STATES, type Attached, AttachedIndex, listAttached, toldAttached } from './attached.ts'
export { createNetwork, type Made } from './create.ts'
export { findGarbage, GARBAGE_KINDS, type Garbage, removeGarbage } from './garbage.ts'
export {
  type AttachmentView,
  type Inspected,
  type InspectedContainer,
  type InspectedNetwork,
  type InspectedPort,
  inspect as inspectWord,
  KINDS,
  type Kind,
} from './inspect/inspect.ts'
export type { Known } from './known.ts'
export { type Finding, type Linted, lintFile } from './lint/lint.ts'
export type { MadeFor } from './list.ts'
export { describeNetwork, listInfos, type NetworkDetails, type NetworkInfo } from './look.ts'
export { type Member, requestOn } from './own.ts'
export { type Host, hostOf } from './places.ts'
export { type OtherNetwork, otherNetworks } from './taken.ts'
export { DRIVER, type DriverOptions, JOINS, readOptions } from './wish/options.ts'
export { type NetworkWords, readWish } from './wish/wish.ts'
