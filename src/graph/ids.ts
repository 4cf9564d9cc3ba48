/** What nodes are called among each other. */

import type { Ip } from '../model/address/address.ts'
import { describeHostPorts, type HostPorts } from '../model/port-mapping.ts'

export const networkId = (name: string): string => `network:${name}`
export const containerId = (id: string): string => `container:${id}`
export const uplinkId = (name: string): string => `uplink:${name}`
export const peerId = (address: Ip): string => `peer:${address}`

/** `port:127.0.0.1:8080/tcp` */
export const portId = (port: HostPorts): string => `port:${describeHostPorts(port)}`
