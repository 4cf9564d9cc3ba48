/** The daemon's settings file, `/etc/tsnet/tsnetd.json`: every key optional, every value checked. */

import { readGiven } from '../ffi/regular-file.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { defaultOptions } from '../proxy/publication.ts'

export interface Settings {
  /** Worker threads of the proxy; read at start only. */
  workers: number
  /** How long connections may finish when the daemon is told to stop. */
  drainMs: number
  /** How often containers are looked after. */
  tendMs: number
  /** UDP sessions of a published port, and of one client address on it; read at start only. */
  udpSessionsPerPort: number
  udpSessionsPerClient: number
  /** A UDP session ends when there was no datagram for so long; read at start only. */
  udpIdleMs: number
  /** A CNI call that publishes a port starts a daemon where none runs. */
  onDemand: boolean
  /** Clients of loopback are led to the container by the kernel, where that can be; read at start only. */
  redirect: 'on' | 'off'
}

export const defaults: Settings = {
  workers: 1,
  drainMs: 10_000,
  tendMs: 1_000,
  udpSessionsPerPort: defaultOptions.maxSessions,
  udpSessionsPerClient: defaultOptions.maxSessionsPerSource,
  udpIdleMs: defaultOptions.sessionIdleMs,
  onDemand: true,
  redirect: 'off',
}

type Limit = readonly [least: number, most: number] | 'boolean' | 'switch'

const limits: Record<keyof Settings, Limit> = {
  workers: [1, 64],
  drainMs: [0, 3_600_000],
  tendMs: [100, 60_000],
  udpSessionsPerPort: [1, 1_000_000],
  udpSessionsPerClient: [1, 1_000_000],
  udpIdleMs: [1_000, 86_400_000],
  onDemand: 'boolean',
  redirect: 'switch',
}

export const SETTINGS_FILE = '/etc/tsnet/tsnetd.json'

/**
 * Reads the settings; those of a file that is not there are the defaults.
 * @throws TsnetError `io`, `decode`, `invalid-config` naming key and value
 */
export function readSettings(path: string): Settings {
  let text: string
  try {
    text = readGiven(path)
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return defaults
    throw new TsnetError('io', `cannot read ${path}: ${messageOf(cause)}`, { cause })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new TsnetError('decode', `${path} is not JSON: ${messageOf(cause)}`, { cause })
  }
  return checkSettings(value, path)
}

function checkSettings(value: unknown, path: string): Settings {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TsnetError('invalid-config', `${path} must hold an object`)
  }
  const unknown = Object.keys(value).find(key => !Object.hasOwn(limits, key))
  if (unknown !== undefined)
    throw new TsnetError('invalid-config', `${path}: there is no setting ${shown(unknown)}`)
  const given = value as Partial<Settings>
  for (const [key, limit] of Object.entries(limits)) {
    const one = given[key as keyof Settings]
    if (isWithin(one, limit) || !Object.hasOwn(value, key)) continue
    const what = describe(limit)
    throw new TsnetError('invalid-config', `${path}: ${key} must be ${what}, not ${shown(one)}`)
  }
  return { ...defaults, ...given }
}

function isWithin(value: unknown, limit: Limit): boolean {
  if (limit === 'boolean') return typeof value === 'boolean'
  if (limit === 'switch') return value === 'on' || value === 'off'
  return Number.isInteger(value) && Number(value) >= limit[0] && Number(value) <= limit[1]
}

function describe(limit: Limit): string {
  if (limit === 'boolean') return 'true or false'
  return limit === 'switch' ? '"on" or "off"' : `a whole number from ${limit[0]} to ${limit[1]}`
}
