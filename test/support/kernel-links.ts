/** The interfaces of a place, as `ip` tells them. */

import type { Place } from 'tsnet/lab'

export interface KernelLink {
  ifname: string
  address: string
  mtu: number
}

/** All but the loopback. */
export async function kernelLinks(place: Place): Promise<KernelLink[]> {
  const { stdout } = await place.run('ip', '-j', 'link')
  return (JSON.parse(stdout) as KernelLink[]).filter(link => link.ifname !== 'lo')
}

export const linkNames = async (place: Place): Promise<string[]> =>
  (await kernelLinks(place)).map(link => link.ifname)
