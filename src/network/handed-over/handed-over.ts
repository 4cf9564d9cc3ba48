/**
 * Attachments whose runtime takes the container's end into its namespace itself, as dockerd does: when the network is asked
 * for an interface there is no container, and when there is one, nobody says so.
 *
 *     offer    bridge, link, addresses, rules; its end waits among the host's links    namespace: nowhere
 *     expect   its runtime says where it will be                                       a path
 *     settle   it is seen there: from now on it is an attachment as any other          path and identity
 *     await    its runtime takes it back to the host                                   nowhere
 *     lead     its ports are published, or other ones, or none
 *
 * detach takes any of them down. One that waits is dead when whoever asked for it is, or has had ten minutes, and nothing
 * is at its path (records/dead.ts); one that has settled, when its namespace is.
 *
 * What is in the container is its runtime's: addresses, routes, settings. CHECK of one that has settled compares them all
 * the same.
 *
 * Limits: no other IPAM plugins, which want a namespace; its other networks are not known, so its answers must come by this
 * one; a strict reverse path filter in the container stays.
 */

export { lead } from './lead.ts'
export { type OfferRequest, offer } from './offer.ts'
export { expect, letGo, settle } from './settle.ts'
