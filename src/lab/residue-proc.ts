/**
 * Settings and sockets of a place, as /proc shows them to a thread that is there.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { ipFromBytes } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import type { Place } from './place.ts'
import { counted, type Section } from './section.ts'

/** Of these the values change by themselves, or are random. */
const VOLATILE = /\/(nf_conntrack_count|tcp_fastopen_key|stable_secret|tcp_mem|udp_mem|flush)$/

/** Every readable setting under /proc/sys/net. */
export function settingsOf(places: readonly Place[]): Section {
  const settings: Record<string, string> = {}
  for (const place of places) {
    place.inside(() => {
      for (const file of readdirSync('/proc/sys/net', { recursive: true, encoding: 'utf8' })) {
        if (VOLATILE.test(file)) continue
        const value = readSetting(`/proc/sys/net/${file}`)
        if (value !== undefined) settings[`${place.name} net/${file}`] = value
      }
    })
  }
  return settings
}

function readSetting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim().replace(/\s+/g, ' ')
  } catch (thrown) {
    if (hasCode(thrown, 'EISDIR', 'EACCES', 'EPERM', 'EIO', 'ENOENT', 'EINVAL')) return undefined
    throw thrown
  }
}

/** The states that last, as /proc/net numbers them; 07 is UDP's only one. */
const STATES: Record<string, string> = { '01': 'established', '07': '', '0A': 'listening' }

/** TCP sockets that listen or are connected, bound UDP and raw sockets, Unix sockets with a name. */
export function socketsOf(places: readonly Place[]): Section {
  const lines: string[] = []
  for (const place of places) {
    place.inside(() => {
      for (const protocol of ['tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6']) {
        for (const [, local = '', , state = ''] of tableOf(protocol)) {
          const word = STATES[state]
          if (word !== undefined) lines.push(`${place.name} ${protocol} ${endpoint(local)} ${word}`.trim())
        }
      }
      for (const [, , , , , , , path] of tableOf('unix')) if (path) lines.push(`${place.name} unix ${path}`)
    })
  }
  return counted(lines)
}

function tableOf(protocol: string): string[][] {
  try {
    const [, ...rows] = readFileSync(`/proc/thread-self/net/${protocol}`, 'utf8').trim().split('\n')
    return rows.map(row => row.trim().split(/\s+/))
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return [] // no IPv6
    throw thrown
  }
}

/** `0100007F:1F90` → `127.0.0.1:8080`: words of 32 bits in the machine's order. */
function endpoint(hex: string): string {
  const [address = '', port = ''] = hex.split(':')
  const ip = ipFromBytes(Buffer.from(address, 'hex').swap32())
  return `${ip.includes(':') ? `[${ip}]` : ip}:${Number.parseInt(port, 16)}`
}
