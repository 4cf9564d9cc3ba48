/**
 * Links of places, by `ip`.
 */

import { spawnSync } from 'node:child_process'
import { type Cidr, familyOf, type Ip } from '../model/address.ts'
import { inside, type Netns } from '../netns/netns.ts'
import { writeSysctl } from '../netns/sysctl.ts'

function ip(netns: Netns, ...words: string[]): void {
  const net = `--net=/proc/${process.pid}/fd/${netns.fd}`
  const { status, stderr } = spawnSync('nsenter', [net, '--', 'ip', ...words], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${words.join(' ')}: ${stderr.trim()}`)
}

/**
 * Its IPv6 link-local address is usable at once: during duplicate address detection, which takes a second
 * or two, the kernel would forward nothing over the link, since neighbours are asked for in its name.
 */
export function setUp(netns: Netns, ifname: string): void {
  inside(netns, () => writeSysctl(`net/ipv6/conf/${ifname}/accept_dad`, '0'))
  ip(netns, 'link', 'set', ifname, 'up')
}

export const addBridge = (netns: Netns, name: string): void =>
  ip(netns, 'link', 'add', name, 'type', 'bridge')

export const setMaster = (netns: Netns, port: string, bridge: string): void =>
  ip(netns, 'link', 'set', port, 'master', bridge)

export function addAddress(netns: Netns, ifname: string, cidr: Cidr): void {
  ip(netns, 'address', 'add', cidr, 'dev', ifname, ...(familyOf(cidr) === 6 ? ['nodad'] : []))
}

export function addRoute(netns: Netns, destination: Cidr | 'default', via: Ip): void {
  ip(netns, familyOf(via) === 6 ? '-6' : '-4', 'route', 'add', destination, 'via', via)
}

export function addVeth(netns: Netns, name: string, peerNetns: Netns, peer: string): void {
  const there = `/proc/${process.pid}/fd/${peerNetns.fd}`
  ip(netns, 'link', 'add', name, 'type', 'veth', 'peer', 'name', peer, 'netns', there)
}
