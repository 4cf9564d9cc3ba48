/**
 * Ports of dockerd's containers. For each there is a process that dockerd takes for its userland proxy and
 * that does nothing: a placeholder (docker-proxy/). It binds the port, or has the socket from dockerd, and
 * we serve a copy of the socket for as long as it is connected.
 *
 *     placeholder                                    daemon
 *     binds and listens
 *     ── docker-proxy {…, socket: 4} ──────────────▶ copies the descriptor (pidfd_getfd), serves it
 *     ◀── done ──────────────────────────────────────
 *     says so to dockerd, and waits
 *     ── leave ────────────────────────────────────▶ serves it no more, and closes it
 *     ◀── done ──────────────────────────────────────
 *     ends: the port is free when the process is gone
 *
 * One that is killed says nothing, but its connection ends. When the daemon ends, the placeholder still has
 * the socket: clients wait in the kernel, and the next daemon is asked in the same way. A successor inherits
 * the sockets with all others, and serves them for the moment until the placeholders have come to it.
 *
 * A placeholder of another network namespace (Docker without root) has the socket there, and its container
 * is dialled from there.
 */

import type { Peer } from '../control/server.ts'
import { libc } from '../ffi/ffi.ts'
import { copyDescriptor, openProcess } from '../ffi/pidfd.ts'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { describeHostPorts } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { type ProxyCall, readProxyCall } from '../model/proxy-call.ts'
import { currentNetns, openNetns, sameNamespace } from '../netns/netns.ts'
import { processIdentity } from '../netns/processes.ts'
import type { Publication } from '../proxy/proxy.ts'
import type { HeldPort, OnObstacle } from '../publish/attachment-ports.ts'
import type { Ports } from '../publish/front/front.ts'
import { Obstacles } from '../publish/obstacles.ts'

/** What is served for placeholders, by publication: what a successor has to know. */
export type Calls = Record<string, ProxyCall>

interface Served {
  call: ProxyCall
  /** Absent: inherited, and nobody has asked for it yet. */
  peer?: Peer
}

/** How long something inherited is served without its placeholder. */
const RETURN_WITHIN_MS = 5_000

export class Placeholders {
  readonly #front: Ports
  readonly #served = new Map<string, Served>()
  readonly #returnWithinMs: number
  readonly #tell: OnObstacle
  readonly #obstacles = new Obstacles()
  #released = false
  /** While all stands still: who has gone. */
  #gone: string[] | undefined

  constructor(
    front: Ports,
    {
      returnWithinMs = RETURN_WITHIN_MS,
      tell = () => {},
    }: { returnWithinMs?: number; tell?: OnObstacle } = {},
  ) {
    this.#front = front
    this.#returnWithinMs = returnWithinMs
    this.#tell = tell
  }

  /**
   * Serves a placeholder's port as long as it is connected. One that was told of an error has the socket all
   * the same, and asks again.
   * @throws TsnetError, SystemError
   */
  async serve(words: unknown, peer: Peer): Promise<void> {
    const call = readProxyCall(words)
    const pid = peer.pid()
    if (pid === 0) throw new TsnetError('unsupported-field', 'docker-proxy runs in another pid namespace')
    const id = `docker-proxy ${pid}`
    const before = this.#served.get(id)
    if (before !== undefined && !isSame(before.call, call)) await this.#withdraw(id)
    try {
      if (!this.#served.has(id)) this.#publish(id, call, this.#copies(pid, call, words))
    } catch (thrown) {
      this.#meet(id, call, thrown)
      throw thrown
    }
    if (this.#obstacles.overcome(id)) this.#tell(describe(call), undefined)
    this.#served.set(id, { call, peer })
    peer.stays()
    peer.onGone(() => {
      if (this.#served.get(id)?.peer !== peer || this.#released) return
      if (this.#gone === undefined) void this.#withdraw(id)
      else this.#gone.push(id)
    })
  }

  /** Lets the port of a placeholder go. */
  async leave(peer: Peer): Promise<void> {
    const id = `docker-proxy ${peer.pid()}`
    if (this.#served.has(id)) await this.#withdraw(id)
  }

  /** What is served, and what something is in the way of. */
  list(): HeldPort[] {
    this.#forgetDead()
    const served = [...this.#served].map(([id, { call }]) => ({ id, call }))
    return [...served, ...this.#obstacles.ids.map(id => ({ id }))].map(each => ({
      ...each,
      ...present({
        counters: this.#front.countersOf(each.id),
        redirected: this.#front.redirectedOf?.(each.id),
        redirectObstacle: this.#front.redirectObstacleOf?.(each.id),
        obstacle: this.#obstacles.why(each.id),
      }),
    }))
  }

  calls(): Calls {
    return Object.fromEntries([...this.#served].map(([id, { call }]) => [id, call]))
  }

  /** Serves what a predecessor did, until the placeholders have asked for it or time is up. */
  inherit(calls: Calls, handedIn: (id: string) => number[][] | undefined): void {
    for (const [id, call] of Object.entries(calls)) {
      const sockets = handedIn(id)
      try {
        if (sockets !== undefined) this.#publish(id, call, sockets)
      } catch {
        // Its process has ended meanwhile, or comes to us in a moment and is told why.
      }
    }
    const forget = () => {
      if (this.#released) return
      for (const [id, { peer }] of this.#served) if (peer === undefined) void this.#withdraw(id)
    }
    setTimeout(forget, this.#returnWithinMs).unref()
  }

  /** A successor copies the sockets: of one whose process ends meanwhile they stay open until it is decided who serves. */
  standStill(): void {
    this.#gone = []
  }

  /** We do. */
  goOn(): void {
    const gone = this.#gone ?? []
    this.#gone = undefined
    for (const id of gone) void this.#withdraw(id)
  }

  /** Somebody else serves them now, and it is there that they have to ask. */
  release(): void {
    this.#released = true
    for (const { peer } of this.#served.values()) peer?.dismiss()
  }

  async #withdraw(id: string): Promise<void> {
    this.#served.delete(id)
    await this.#front.withdraw(id)
  }

  #meet(id: string, call: ProxyCall, thrown: unknown): void {
    this.#forgetDead()
    const why = this.#obstacles.meet(id, thrown)
    if (why !== undefined) this.#tell(describe(call), why)
  }

  /** A process that has ended waits for nothing. */
  #forgetDead(): void {
    for (const id of this.#obstacles.ids) {
      if (processIdentity(pidOf(id)) === undefined) this.#obstacles.overcome(id)
    }
  }

  #publish(id: string, call: ProxyCall, sockets: number[][]): void {
    try {
      this.#front.publish(publicationOf(id, call), sockets)
      this.#served.set(id, { call })
    } catch (thrown) {
      for (const fd of sockets.flat()) libc.close(fd)
      throw thrown
    }
  }

  /** The one socket, for each worker; of UDP for one of them. */
  #copies(pid: number, { protocol, hostPort }: ProxyCall, words: unknown): number[][] {
    const { socket } = words as { socket?: unknown }
    if (!Number.isInteger(socket)) {
      throw new TsnetError('invalid-environment', `docker-proxy: socket: ${shown(socket)} cannot be`)
    }
    using process = openProcess(pid)
    const { workers } = this.#front
    return Array.from({ length: workers }, (_, index) =>
      protocol === 'udp' && index !== hostPort % workers ? [] : [copyDescriptor(process, socket as number)],
    )
  }
}

const pidOf = (id: string): number => Number(id.slice(id.indexOf(' ') + 1))

const describe = ({ containerIp, ...call }: ProxyCall): string =>
  `${describeHostPorts({ ...call, count: 1 })} → ${containerIp} for dockerd`

const isSame = (a: ProxyCall, b: ProxyCall): boolean => JSON.stringify(a) === JSON.stringify(b)

function publicationOf(id: string, call: ProxyCall): Publication {
  const { protocol, hostIp, hostPort, containerIp: ip, containerPort: port } = call
  const netns = `/proc/${pidOf(id)}/ns/net`
  const target = isOurs(netns) ? { ip, port } : { ip, port, netns }
  return { id, protocol, hostIps: [hostIp], hostPort, count: 1, targets: [target] }
}

function isOurs(path: string): boolean {
  using theirs = openNetns(path)
  using ours = currentNetns()
  return sameNamespace(theirs.id, ours.id)
}
