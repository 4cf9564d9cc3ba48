/** What every operation needs to know of its caller. */
export interface Context {
  /** Hears the `ip` command that would do the same as each change. */
  trace?: (equivalent: string) => void
  /** Accept a container in our own network namespace (CNI_NETNS_OVERRIDE). */
  allowOwnNetns?: boolean
  /** Folder of the network lists that others are looked up in; absent: CNI's. */
  confDir?: string
  /** The proxy answers on loopback addresses, so the kernel need not. */
  loopbackServed?: boolean
}
