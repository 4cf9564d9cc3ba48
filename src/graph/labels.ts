/** What nodes and edges are called for people, on terminals and pictures. Names of strangers are made visible here. */

import { describeHostPorts } from '../model/port-mapping.ts'
import { sizeOf, visible } from '../model/text/text.ts'
import type { Node, PublishedEdge, TalksEdge } from './model.ts'

const MOST = 200

/** Empty for a node that is not there. */
export function labelOf(node: Node | undefined): string {
  if (node === undefined) return ''
  switch (node.kind) {
    case 'peer':
      return node.address
    case 'port':
      return describeHostPorts(node)
    case 'others':
      return `${node.count} more ${node.of}`
    default:
      return visible(node.name.slice(0, MOST))
  }
}

/** `5432/tcp`, `icmp`; empty where an edge to a port says it already, or several are told as one. */
export function askedOf({ protocol, port }: TalksEdge, to: Node | undefined): string {
  if (to?.kind === 'port' && to.count === 1) return ''
  return port === undefined ? protocol : `${port}/${protocol}`
}

/** `3 connections`, and how much was sent where that is known; empty for none. */
export function connectionsOf({
  connections,
  bytes,
}: Pick<TalksEdge | PublishedEdge, 'connections' | 'bytes'>) {
  if (connections === 0) return ''
  const size = bytes === undefined ? '' : `, ${sizeOf(bytes)}`
  return `${connections === 1 ? '1 connection' : `${connections} connections`}${size}`
}
