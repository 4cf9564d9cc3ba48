/**
 * Ports that a runtime reserves itself.
 *
 * podman listens on the ports of a container, so that nobody else takes them, and leaves the sockets to the container's
 * monitor, conmon, where nobody ever accepts: up to 4 once its network is there, from 5 on before that. Who listens
 * before it keeps the container from being started; and after it, a connection to 127.0.0.1, which no rule leads to the
 * container, would wait for ever. So we come after it, and accept on copies of those very sockets.
 */

import { readlinkSync } from 'node:fs'
import { copyDescriptor, openProcess } from '../ffi/pidfd.ts'
import { familyOf, parseIp } from '../model/address/address.ts'
import { ipOfHost } from '../model/address/host.ts'
import type { NamespaceId } from '../model/network.ts'
import { surroundings } from '../model/surroundings.ts'
import { isThere } from '../netns/container.ts'
import { listProcesses, parentOf, processName } from '../netns/processes.ts'
import type { Publication } from '../proxy/proxy.ts'
import { boundSockets, descriptorsOf } from './bound-sockets.ts'

const RUNTIME = 'podman'
/** podman starts it, and it its plugins. */
const BETWEEN = 'netavark'
const KEEPER = 'conmon'

/** What podman listens on where no address is asked for. */
export const EVERY_IPV4 = parseIp('0.0.0.0')

/** The runtime that called the plugin and listens on the container's ports, or will; undefined where none does. */
export function reservingRuntime(): number | undefined {
  const caller = surroundings().caller
  const parent = parentOf(caller === undefined ? process.pid : Number.parseInt(caller, 10))
  const runtime = parent !== undefined && processName(parent) === BETWEEN ? parentOf(parent) : parent
  return runtime !== undefined && processName(runtime) === RUNTIME ? runtime : undefined
}

/** True when some process is in the namespace. */
export function isInhabited(recorded: NamespaceId): boolean {
  const name = `net:[${recorded.ino}]`
  const path = listProcesses()
    .map(pid => `/proc/${pid}/ns/net`)
    .find(each => linkAt(each) === name)
  // Of one number there is one namespace at a time, perhaps a younger one than was recorded.
  return path !== undefined && (recorded.cookie === undefined || isThere({ ...recorded, path }))
}

/**
 * Copies of the sockets that a monitor keeps for all ports of a publication, for each of so many workers; of
 * one for UDP the first worker gets them all. Undefined where it does not have all of them.
 */
export function copyReserved(
  { protocol, hostPort, count, hostIps: [ip] = [] }: Publication,
  workers: number,
): number[][] | undefined {
  const kept = keptSockets()
  const table = ip !== undefined && familyOf(ip) === 6 ? `${protocol}6` : protocol
  const bound = boundSockets(table)
  const found = Array.from({ length: count }, (_, i) =>
    bound(hostPort + i, ip && ipOfHost(ip))
      .map(link => kept.get(link))
      .find(each => each !== undefined),
  ).filter(each => each !== undefined)
  if (found.length < count) return undefined
  const copies = () =>
    found.map(({ pid, fd }) => {
      using keeper = openProcess(pid)
      return copyDescriptor(keeper, fd)
    })
  return Array.from({ length: workers }, (_, worker) => (worker > 0 && protocol === 'udp' ? [] : copies()))
}

/** The sockets of all monitors, by what /proc shows for them. */
function keptSockets(): Map<string, { pid: number; fd: number }> {
  const keepers = listProcesses().filter(pid => processName(pid) === KEEPER)
  return new Map(
    keepers.flatMap(pid =>
      descriptorsOf(pid).flatMap(({ fd, file }) =>
        file.startsWith('socket:') ? [[file, { pid, fd }] as const] : [],
      ),
    ),
  )
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}
