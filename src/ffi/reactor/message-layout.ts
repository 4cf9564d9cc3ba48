/** Where struct mmsghdr, msghdr and iovec of 64-bit Linux have their fields, in 32-bit words. */

/** Datagrams taken at once. */
export const SLOTS = 64
/** Words for a struct sockaddr, and for a struct cmsghdr with an in6_pktinfo. */
export const NAME_WORDS = 8
export const CONTROL_WORDS = 16

/** struct iovec, and where it has its length. */
export const VECTOR_WORDS = 4
export const VECTOR_LENGTH = 2

// struct mmsghdr, in words.
export const HEADER_WORDS = 16
export const NAME = 0
export const NAME_LENGTH = 2
export const VECTOR = 4
export const VECTOR_COUNT = 6
export const CONTROL = 8
export const CONTROL_LENGTH = 10
export const FLAGS = 12
export const LENGTH = 14
