/**
 * What dockerd starts as its userland proxy: a process for each published port that does nothing. Clients
 * are served by the daemon, for all ports; dockerd starts this, waits for its word, and ends it when the
 * port shall be free.
 *
 *     dockerd ──exec, fd 3: a pipe, fd 4: its socket (from 28 on)──▶ placeholder
 *             ◀── "0\n", or "1\n" and why ─────────────────────────      │  ▲
 *             ─── SIGTERM or SIGINT ───────────────────────────────▶     ▼  │  daemon/placeholders.ts
 *                                                                      daemon
 *
 *   1  the command line is read; what is wrong about it is said as docker-proxy says it
 *   2  the port is bound and listened on, in the namespace that we were started in, unless dockerd did that
 *   3  the daemon takes a copy of the socket and serves it; one is started where none runs
 *   4  dockerd is told; if anything before has failed, it is told why, and we end with 1
 *   5  we stay. If the daemon goes, the socket is still ours, and clients wait in the kernel for the next one:
 *      that which replaces it or is started again, or, after a moment, one that we start
 *   6  at a signal the daemon gives the port back before we end
 *
 * The executable is a C program where one could be built (src/launcher/docker-proxy.c), which needs a
 * hundredth of the memory: it does the above and leaves to this one whatever it does not understand, and all
 * that ends in words. Source: moby, cmd/docker-proxy and libnetwork/portmapper.
 *
 * Limits: connections end with the placeholder, as they do with docker-proxy.
 */

import { readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ControlClient, connectControl } from '../control/client.ts'
import { daemonAtHand } from '../control/start.ts'
import { libc } from '../ffi/ffi.ts'
import { hasCode, messageOf } from '../model/errors.ts'
import type { ProxyCall } from '../model/proxy-call.ts'
import { readArguments, usage } from './arguments.ts'
import { listen } from './listen.ts'

const STATUS_FD = 3
const LISTEN_FD = 4

/** How long another daemon may take to come before we start one, and between looking for it. */
const SUCCESSOR_WITHIN_MS = 2_000
const LOOK_AGAIN_MS = 50

/** dockerd waits for our end, however long it takes. */
const LEAVE_WITHIN_MS = 1_000

/** What a process is to us. */
export interface Surroundings {
  version: string
  out(text: string): void
  error(text: string): void
  /** Settles when we shall end. */
  ending: Promise<void>
}

/** Runs until it shall end. @returns the exit code */
export async function runPlaceholder(args: readonly string[], around: Surroundings): Promise<number> {
  const tellDockerd = statusPipe()
  try {
    const asked = readArguments(args)
    if (asked.wants === 'help') around.error(usage())
    if (asked.wants === 'version') around.out(`docker-proxy (tsnet) version ${around.version}\n`)
    if (asked.wants !== 'port') return 0
    const socket = asked.useListenFd ? LISTEN_FD : listen(asked.call)
    const client = await handOver(asked.call, socket)
    tellDockerd('0\n')
    await stay(client, () => handOver(asked.call, socket), around)
    return 0
  } catch (thrown) {
    const message = messageOf(thrown)
    if (hasCode(thrown, 'invalid-environment')) {
      around.error(`${message}\n${usage()}`)
      return 2
    }
    tellDockerd(`1\n${message}`)
    around.error(`docker-proxy: ${message}\n`)
    return 1
  }
}

async function handOver(call: ProxyCall, socket: number): Promise<ControlClient> {
  const client = await daemonAtHand()
  try {
    await client.ask('docker-proxy', { ...call, socket })
    return client
  } catch (thrown) {
    client[Symbol.dispose]()
    throw thrown
  }
}

/** Until we shall end; whenever a daemon has gone, the next one gets the port. */
async function stay(
  first: ControlClient,
  again: () => Promise<ControlClient>,
  { ending, error }: Surroundings,
): Promise<void> {
  let client: ControlClient | undefined = first
  let over = false
  const end = ending.then(() => {
    over = true
  })
  while (!over) {
    await Promise.race([client?.closed ?? sleep(SUCCESSOR_WITHIN_MS), end])
    if (over) break
    client = undefined
    const deadline = performance.now() + SUCCESSOR_WITHIN_MS
    while (!over && performance.now() < deadline && !(await isThere())) await sleep(LOOK_AGAIN_MS)
    if (over) break
    try {
      client = await again()
    } catch (thrown) {
      error(`docker-proxy: ${messageOf(thrown)}\n`)
    }
  }
  await Promise.race([client?.ask('leave').catch(() => {}), sleep(LEAVE_WITHIN_MS)])
  client?.[Symbol.dispose]()
}

async function isThere(): Promise<boolean> {
  using client = await connectControl().catch(() => undefined)
  return client !== undefined
}

/** dockerd's pipe. Where nobody gave us one, Node has something of its own there. */
function statusPipe(): (text: string) => void {
  let isGiven = false
  try {
    isGiven = !readlinkSync(`/proc/self/fd/${STATUS_FD}`).startsWith('anon_inode:')
  } catch {
    // Nothing is there.
  }
  return text => {
    if (!isGiven) return
    isGiven = false
    const bytes = Buffer.from(text)
    libc.write(STATUS_FD, bytes, bytes.length)
    libc.close(STATUS_FD)
  }
}
