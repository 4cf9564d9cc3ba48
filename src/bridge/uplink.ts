/** The way out of this host. */

/** MTU of the interface of the default route (main table); undefined where there is none. */
export function uplinkMtu(): number | undefined {
  return undefined
}
