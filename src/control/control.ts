/**
 * How the daemon is spoken to: lines of JSON over a unix socket, and the only file that knows ndjson.
 *
 *     → {"id":1,"do":"publish","with":{…}}
 *     ← {"id":1,"result":[…]}                 or {"id":1,"error":{"code":"conflict","message":"…"}}
 *     → {"id":2,"do":"watch"}
 *     ← {"id":2,"result":null}
 *     ← {"event":"publish","about":{…}}       from then on; who reads too slowly misses some (watchers.ts)
 *
 * The socket lies in the run directory and is for root alone (mode 0600 in a directory of mode 0700).
 * A connection may ask any number of things; answers come as they are ready. What is not a request closes
 * the connection: garbage, a line over REQUEST_MAX, a peer that asks and never reads. Nothing that one
 * connection does is felt by another.
 */

import type { Socket } from 'node:net'
import { join } from 'node:path'
import ndjson from 'ndjson'
import { type ErrorCode, messageOf, TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { systemFailure } from '../model/system-failure.ts'
import { runDirectory } from '../records/records.ts'
import { WholeLines } from './whole-lines.ts'

/** sizeof(sun_path) without its NUL, linux/un.h; the kernel's callers cut longer paths in silence. */
const SOCKET_PATH_MAX = 107

/** Where the daemon listens. @throws TsnetError `invalid-environment` for a run directory with a long name */
export const controlSocket = (): string => socketAt('control.sock')

/** Where it listens for launchers, see launcher/launch.c. */
export const callSocket = (): string => socketAt('call.sock')

/** Where it listens for dockerd, see libnetwork/. */
export const dockerSocket = (): string => socketAt('docker.sock')

function socketAt(name: string): string {
  const path = join(runDirectory(), name)
  if (Buffer.byteLength(path) > SOCKET_PATH_MAX) {
    throw new TsnetError(
      'invalid-environment',
      `TSNET_RUN_DIR: ${path} is too long for a unix socket (${SOCKET_PATH_MAX} bytes)`,
    )
  }
  return path
}

/** Longest line that the daemon takes, in bytes: a request. */
export const REQUEST_MAX = 4 * 1024 * 1024

/** Longest line of the daemon: a publication is some 1 KB, and all ports of a host can be published apart. */
export const REPLY_MAX = 256 * 1024 * 1024

/** How much may wait for a peer that does not read. */
const UNREAD_MAX = 16 * 1024 * 1024

export interface Request {
  id: number
  do: string
  with?: unknown
  /** Whoever asks wants to hear of each change to the system. */
  tell?: true
}

export interface ErrorReport {
  code: ErrorCode
  message: string
  details?: string
}

/** `told`: the changes, for whoever wanted to hear of them. */
export type Reply = { id: number; told?: string[] } & ({ result: unknown } | { error: ErrorReport })

/** Something happened that a watcher wants to hear of. */
export interface Event {
  event: string
  about: unknown
}

/**
 * Hears every value that a peer sends; anything that is not a line of JSON ends the connection.
 * @param maxLength of a line in bytes
 */
export function readLines(socket: Socket, maxLength: number, hear: (value: unknown) => void): void {
  const whole = socket.pipe(new WholeLines(maxLength))
  const values = whole.pipe(ndjson.parse({ strict: true }))
  values.on('data', hear)
  for (const stream of [whole, values]) stream.on('error', () => socket.destroy())
  // ndjson takes a line that says `null` for the end of all lines.
  values.on('end', () => {
    if (!socket.readableEnded) socket.destroy()
  })
  // A peer that goes away in the middle of a word is its own business.
  socket.on('error', () => socket.destroy())
}

/** Sends one value; a peer that never reads is let go. */
export function writeLine(socket: Socket, value: Reply | Event | Request): void {
  if (socket.destroyed) return
  if (socket.writableLength > UNREAD_MAX) {
    socket.destroy()
    return
  }
  socket.write(lineOf(value))
}

export const lineOf = (value: Reply | Event | Request): string => `${JSON.stringify(value)}\n`

/** A request as it came, or undefined. */
export function asRequest(value: unknown): Request | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const {
    id,
    do: operation,
    with: parameters,
    tell,
  } = value as Partial<Record<'id' | 'do' | 'with' | 'tell', unknown>>
  if (!Number.isSafeInteger(id) || typeof operation !== 'string') return undefined
  return { id: id as number, do: operation, with: parameters, ...(tell === true && { tell }) }
}

/** An error as it travels. */
export function reportOf(thrown: unknown): ErrorReport {
  const known = thrown instanceof TsnetError ? thrown : undefined
  const details = known?.details
  return {
    code: known?.code ?? systemFailure(thrown)?.code ?? 'internal',
    message: messageOf(thrown),
    ...(details !== undefined && { details }),
  }
}

/** The error that travelled. */
export function errorOf(report: unknown): TsnetError {
  const { code, message, details } = (report ?? {}) as Partial<Record<keyof ErrorReport, unknown>>
  if (typeof code !== 'string' || typeof message !== 'string' || message === '')
    return new TsnetError('io', `the daemon reports an error that is none: ${shown(report)}`)
  return new TsnetError(code as ErrorCode, message, typeof details === 'string' ? { details } : {})
}
