/**
 * The hook of an OCI runtime: a container of plain runc or crun gets networks by its annotations.
 *
 *     io.tsnet.networks: front,back:net1     names of network lists, each with an interface if it matters
 *     io.tsnet.ports:    8080:80,53:53/udp   on the first network that publishes ports
 *
 * At createRuntime the namespaces exist and nothing runs in them: the container joins its networks in their
 * order, or none of them, and then is not started. At poststop it leaves them all; that succeeds whatever
 * there is left to leave. Which of the two it is, the state says that comes on stdin.
 *
 * Containers without these annotations are none of its business, so the hook may be set for all.
 *
 * Source: OCI runtime-spec, config.md "POSIX-platform Hooks" and runtime.md "State".
 */

import { TsnetError } from '../model/errors.ts'
import type { Json } from '../model/json/json.ts'
import { everyStep, withUndo } from '../model/undo.ts'
import type { Host } from '../networks/places.ts'
import { findNetworkList } from '../runtime/conflist.ts'
import { annotationsIn } from '../runtime/sources/oci-state.ts'
import { type Joined, join } from './join.ts'
import { leave, leaveUnwritten } from './leave.ts'
import { readPort } from './ports.ts'

export const NETWORKS = 'io.tsnet.networks'
export const PORTS = 'io.tsnet.ports'

interface Wish {
  network: string
  ifname: string
}

/** @param state what the runtime writes to its hooks @throws TsnetError */
export async function runOciHook(state: Json, host: Host): Promise<void> {
  const containerId = state.get('id').text() ?? state.get('id').refuse('is missing')
  const annotations = readAnnotations(state)
  const wishes = listIn(annotations[NETWORKS]).map(readWish)
  if (state.get('status').text() === 'stopped') {
    await everyStep(wishes.map(wish => () => leaveWhatIsThere(containerId, wish, host)))
    return
  }
  const ports = listIn(annotations[PORTS]).map(readPort)
  if (wishes.length === 0) {
    if (ports.length === 0) return
    throw new TsnetError('invalid-config', `annotation ${PORTS} is of no use without ${NETWORKS}`)
  }
  // Nothing is changed before every network was found.
  const lists = wishes.map(wish => ({ ...wish, list: findNetworkList(wish.network, host.confDir) }))
  const publisher =
    lists.find(({ list }) => list.plugins.some(each => each.capabilities.includes('portMappings'))) ??
    lists[0]
  const netns = `/proc/${state.get('pid').number(1, 0x7fff_ffff) ?? state.get('pid').refuse('is missing')}/ns/net`
  await withUndo(async undo => {
    for (const each of lists) {
      const request = { containerId, name: containerId, netns, ifname: each.ifname }
      const joined: Joined = await join(each.list, { ...request, ...(each === publisher && { ports }) }, host)
      undo.push(`network ${joined.network}`, async () => {
        await leave(joined, host)
      })
    }
  })
}

/** By what is written down, and where nothing is, once more by the list: an attempt may have been killed. */
async function leaveWhatIsThere(containerId: string, { network, ifname }: Wish, host: Host): Promise<void> {
  const left = await leave({ network, containerId, ifname }, host)
  if (left.length === 0) await leaveUnwritten({ network, containerId, ifname, netns: '' }, host)
}

/** Runtimes pass them on; where one does not, they are in the bundle. */
function readAnnotations(state: Json): Record<string, unknown> {
  const told = state.get('annotations')
  return told.present ? told.object() : annotationsIn(state.get('bundle').text() ?? '')
}

const listIn = (value: unknown): string[] =>
  typeof value === 'string' ? value.split(/[\s,]+/).filter(word => word !== '') : []

/** `front` or `front:net1`; without a name eth0, eth1, … by its place. */
function readWish(word: string, place: number): Wish {
  const [network = '', ifname = `eth${place}`] = word.split(':')
  return { network, ifname }
}
