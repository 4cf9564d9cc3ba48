/** Ports of an endpoint that is its container's way out: dockerd says which, and when. */

import { readPorts } from '../cni/config/ports.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import { Json } from '../model/json/json.ts'
import { type AttachmentKey, ownerTag } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { lead } from '../network/handed-over/handed-over.ts'
import { requireFree } from '../ports/ports.ts'
import { keyOf } from './endpoints.ts'
import type { Asker } from './world.ts'

const PORTS = 'com.docker.network.portmap'

/** IPPROTO_*; libnetwork/types has these three. */
const PROTOCOLS: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' }

/** The first and last of those that Docker itself chooses from where the kernel tells nothing else. */
const CHOICE = { first: 49_153, last: 60_999 }

/** All ports, or none. @throws TsnetError `conflict` naming who has a port */
export async function programPorts(asked: Json, { holder }: Asker): Promise<object> {
  const key = keyOf(asked)
  const ports = await readBindings(asked.get('Options').exactly(PORTS))
  await lead(key, ports, { proxied: true })
  try {
    await holder.serve(ownerTag(key))
  } catch (thrown) {
    await lead(key, [], { proxied: true })
    throw thrown
  }
  return {}
}

/** Succeeds for one that nobody knows. */
export async function revokePorts(asked: Json, { holder }: Asker): Promise<object> {
  let key: AttachmentKey
  try {
    key = keyOf(asked)
    await lead(key, [], { proxied: true })
  } catch (thrown) {
    if (hasCode(thrown, 'conflict', 'invalid-environment')) return {}
    throw thrown
  }
  // Its names were let go of with its ports.
  await holder.serve(ownerTag(key))
  return {}
}

/** Where Docker names a range or none, one that is free is chosen. */
async function readBindings(list: Json): Promise<PortMapping[]> {
  const entries: object[] = []
  for (const entry of list.list()) {
    const containerPort = entry.get('Port').number(1, 65_535) ?? entry.get('Port').refuse('is missing')
    const proto = entry.get('Proto')
    const protocol = PROTOCOLS[proto.number(0, 255) ?? 6] ?? proto.refuse('is neither TCP, UDP nor SCTP')
    const hostIP = entry.get('HostIP').text()
    const first = entry.get('HostPort').number(0, 65_535) ?? 0
    const last = entry.get('HostPortEnd').number(0, 65_535) || first
    const wanted = { protocol, containerPort, ...(hostIP !== undefined && { hostIP }) }
    const span = first === 0 ? CHOICE : { first, last }
    entries.push({ ...wanted, hostPort: await choose(wanted, span, entries) })
  }
  return readPorts(new Json(entries, PORTS))
}

async function choose(
  wanted: { protocol: string },
  { first, last }: { first: number; last: number },
  chosen: readonly { hostPort?: number; protocol?: string }[],
): Promise<number> {
  if (first === last) return first
  for (let hostPort = first; hostPort <= last; hostPort++) {
    if (chosen.some(each => each.hostPort === hostPort && each.protocol === wanted.protocol)) continue
    try {
      await requireFree(readPorts(new Json([{ ...wanted, hostPort }], PORTS)))
      return hostPort
    } catch (thrown) {
      if (!hasCode(thrown, 'conflict')) throw thrown
    }
  }
  throw new TsnetError('conflict', `no ${wanted.protocol} port from ${first} to ${last} is free`)
}
