/** Where numbers for Prometheus are to be had: a unix socket, or a loopback address; nothing else can be said. */

import { familyOf, isLoopback, tryParseIp } from './address.ts'

export type MetricsAddress = { path: string } | { host: string; port: number }

/** sizeof(sun_path) without its NUL, linux/un.h. */
const PATH_MAX = 107

export const METRICS_FORMS =
  '"off", a path such as "/run/tsnet/metrics.sock", or a loopback address such as "127.0.0.1:9808"'

/** Of `/run/metrics.sock`, `127.0.0.1:9808` or `[::1]:9808`; undefined for anything else. */
export function parseMetricsAddress(text: string): MetricsAddress | undefined {
  if (text.startsWith('/')) {
    const fits = Buffer.byteLength(text) <= PATH_MAX && !text.includes('\0') && !text.endsWith('/')
    return fits ? { path: text } : undefined
  }
  const [, six, four, digits = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  const ip = tryParseIp(six ?? four ?? '')
  const port = Number(digits)
  if (ip === undefined || port < 1 || port > 65_535 || !isLoopback(ip)) return undefined
  return (familyOf(ip) === 6) === (six !== undefined) ? { host: ip, port } : undefined
}
