/** The daemon's settings file, `/etc/tsnet/tsnetd.json`: every key optional, every value checked. */

import { readGiven } from '../ffi/regular-file.ts'
import { type Cidr, familyOf, lengthOf, networkOf, parseCidr } from '../model/address/address.ts'
import { METRICS_FORMS, parseMetricsAddress } from '../model/address/metrics-address.ts'
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
  /** Where `tsnet network create` chooses IPv4 subnets; none: its own pools. */
  subnetPools: PoolSetting[]
  /** Where numbers for Prometheus are to be had, see parseMetricsAddress; `off`; read at start only. */
  metrics: string
}

/** As Docker and podman have it: prefixes of one length out of a wider one. */
export interface PoolSetting {
  base: Cidr
  size: number
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
  subnetPools: [],
  metrics: 'off',
}

type Limit = readonly [least: number, most: number] | 'boolean' | 'switch' | 'pools' | 'metrics'

const limits: Record<keyof Settings, Limit> = {
  workers: [1, 64],
  drainMs: [0, 3_600_000],
  tendMs: [100, 60_000],
  udpSessionsPerPort: [1, 1_000_000],
  udpSessionsPerClient: [1, 1_000_000],
  udpIdleMs: [1_000, 86_400_000],
  onDemand: 'boolean',
  redirect: 'switch',
  subnetPools: 'pools',
  metrics: 'metrics',
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

/** As they are now; those that are wrong change nothing, and the log says why. */
export function readAgain(path: string, current: Settings, log: (line: string) => void): Settings {
  try {
    const settings = readSettings(path)
    log(`settings read again from ${path}`)
    return settings
  } catch (thrown) {
    log(`settings stay as they are: ${messageOf(thrown)}`)
    return current
  }
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
  if (limit === 'metrics')
    return typeof value === 'string' && (value === 'off' || parseMetricsAddress(value) !== undefined)
  if (limit === 'pools') return Array.isArray(value) && value.every(isPool)
  return Number.isInteger(value) && Number(value) >= limit[0] && Number(value) <= limit[1]
}

/** A gateway and five containers: with less nothing is gained. */
const SIZE_MAX = 29

function isPool(value: unknown): value is PoolSetting {
  const { base, size } = (value ?? {}) as Record<string, unknown>
  if (typeof base !== 'string' || !Number.isInteger(size)) return false
  try {
    const cidr = parseCidr(base)
    const isWhole = familyOf(cidr) === 4 && networkOf(cidr) === base
    return isWhole && lengthOf(cidr) <= Number(size) && Number(size) <= SIZE_MAX
  } catch {
    return false
  }
}

function describe(limit: Limit): string {
  if (limit === 'boolean') return 'true or false'
  if (limit === 'metrics') return METRICS_FORMS
  if (limit === 'pools')
    return 'a list such as [{"base": "10.210.0.0/15", "size": 24}], of IPv4 prefixes without host bits, no size above 29'
  return limit === 'switch' ? '"on" or "off"' : `a whole number from ${limit[0]} to ${limit[1]}`
}
