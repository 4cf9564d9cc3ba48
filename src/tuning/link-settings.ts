import type { LinkChange } from '../netlink/link/link.ts'

/** What of an interface can be tuned, in the order in which the reference changes it. */
export const linkSettings = ['mac', 'promiscuous', 'mtu', 'allmulti', 'txQueueLength'] as const

export type LinkSettings = Pick<LinkChange, (typeof linkSettings)[number]>
