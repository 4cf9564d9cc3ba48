/**
 * What the network of a place consists of, as the kernel tells it.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { ipFromBytes } from '../model/address.ts'
import { hasCode } from '../model/errors.ts'
import { type Link, listLinks } from '../netlink/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import type { Place } from './place.ts'
import type { Section } from './residue.ts'
import { counted } from './residue-tools.ts'

/** The sections that are asked for over netlink. */
export function linksOf(places: readonly Place[]): Record<string, Section> {
  const links: Record<string, string> = {}
  for (const place of places) {
    place.inside(() => {
      using nl = openNetlink()
      const all = listLinks(nl)
      const nameOf = (index: number | undefined) => all.find(link => link.index === index)?.name
      for (const link of all)
        links[`${place.name} ${link.name}`] = describeLink(link, nameOf(link.masterIndex))
    })
  }
  return { link: links }
}

function describeLink(link: Link, master: string | undefined): string {
  const { kind = 'device', up, mtu, mac, bridge, port, promiscuous, alias } = link
  const words = [kind, up ? 'up' : 'down', `mtu ${mtu}`, mac]
  if (master !== undefined) words.push(`port of ${master}`, settingsText(port))
  if (bridge !== undefined) words.push(settingsText(bridge))
  if (promiscuous) words.push('promiscuous')
  if (alias !== undefined) words.push(`alias ${alias}`)
  return words.filter(Boolean).join(', ')
}

const settingsText = (settings: object = {}): string =>
  Object.entries(settings)
    .map(([name, value]) => `${name} ${value}`)
    .join(' ')

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

const TCP_STATES: Record<string, string> = { '01': 'established', '0A': 'listening', '07': '' }

/** TCP sockets that listen or are connected, bound UDP and raw sockets, Unix sockets with a name. */
export function socketsOf(places: readonly Place[]): Section {
  const lines: string[] = []
  for (const place of places) {
    place.inside(() => {
      for (const protocol of ['tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6']) {
        for (const [, local = '', , state = ''] of tableOf(protocol)) {
          const word = TCP_STATES[state]
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
  const bytes = Buffer.from(address, 'hex').swap32()
  const ip = ipFromBytes(bytes)
  return `${ip.includes(':') ? `[${ip}]` : ip}:${Number.parseInt(port, 16)}`
}
