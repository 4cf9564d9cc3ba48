/**
 * firewalld, asked over D-Bus by whichever command is there: busctl of systemd, or dbus-send. A container's
 * address becomes a source of a zone, as the reference plugin firewall has it.
 *
 * Source: the interface org.fedoraproject.FirewallD1.zone, firewalld.dbus(5).
 */

import { existsSync } from 'node:fs'
import { type Cidr, familyOf, ipOf } from '../../model/address/address.ts'
import { TsnetError } from '../../model/errors.ts'
import { surroundings } from '../../model/surroundings.ts'
import { findCommand, run, wordsOf } from '../commands.ts'

const NAME = 'org.fedoraproject.FirewallD1'
const SOCKET = '/run/dbus/system_bus_socket'
const BUS = 'org.freedesktop.DBus'

interface Answer {
  ok: boolean
  /** What was returned, without its type; else what went wrong. */
  text: string
}

/** Calls a method that takes strings. */
async function call(
  destination: string,
  path: string,
  interfaceName: string,
  method: string,
  words: string[],
): Promise<Answer> {
  const busctl = findCommand('busctl')
  const send = findCommand('dbus-send')
  const done =
    busctl !== undefined
      ? await run(busctl, [
          '--system',
          'call',
          destination,
          path,
          interfaceName,
          method,
          's'.repeat(words.length),
          ...words,
        ])
      : await run(need(send), [
          '--system',
          '--print-reply=literal',
          `--dest=${destination}`,
          path,
          `${interfaceName}.${method}`,
          ...words.map(word => `string:${word}`),
        ])
  if (done.code !== 0) return { ok: false, text: wordsOf(done) }
  return {
    ok: true,
    text: done.stdout
      .trim()
      .replace(/^(b|s|boolean|string) /, '')
      .replace(/^"(.*)"$/, '$1'),
  }
}

function need(command: string | undefined): string {
  if (command !== undefined) return command
  throw new TsnetError('missing', 'firewalld: neither busctl nor dbus-send is there to speak to it', {
    details: 'install systemd or dbus, or set backend to "iptables"',
  })
}

/** True where there is a bus and firewalld is on it. */
export async function isFirewalldRunning(): Promise<boolean> {
  if (surroundings().env.DBUS_SYSTEM_BUS_ADDRESS === undefined && !existsSync(SOCKET)) return false
  if (findCommand('busctl') === undefined && findCommand('dbus-send') === undefined) return false
  const { ok, text } = await call(BUS, '/org/freedesktop/DBus', BUS, 'NameHasOwner', [NAME])
  return ok && text === 'true'
}

const zoneCall = (method: string, zone: string, address: Cidr): Promise<Answer> =>
  call(NAME, '/org/fedoraproject/FirewallD1', `${NAME}.zone`, method, [zone, hostOf(address)])

const hostOf = (address: Cidr): string => `${ipOf(address)}/${familyOf(address) === 4 ? 32 : 128}`

/** Idempotent. @throws TsnetError `kernel`, `missing` */
export async function addToZone(zone: string, address: Cidr): Promise<void> {
  const { ok, text } = await zoneCall('addSource', zone, address)
  if (!ok && !text.includes('ZONE_ALREADY_SET'))
    throw refused(`adding ${hostOf(address)} to zone ${zone}`, text)
}

/** Idempotent. @throws TsnetError `kernel`, `missing` */
export async function removeFromZone(zone: string, address: Cidr): Promise<void> {
  // Without it nothing is in any zone.
  if (!(await isFirewalldRunning())) return
  const { ok, text } = await zoneCall('removeSource', zone, address)
  if (!ok && !/UNKNOWN_SOURCE|NOT_ENABLED|INVALID_ZONE/.test(text)) {
    throw refused(`removing ${hostOf(address)} from zone ${zone}`, text)
  }
}

/** @throws TsnetError `kernel`, `missing` */
export async function isInZone(zone: string, address: Cidr): Promise<boolean> {
  const { ok, text } = await zoneCall('querySource', zone, address)
  if (!ok) throw refused(`asking for ${hostOf(address)} in zone ${zone}`, text)
  return text === 'true'
}

const refused = (what: string, text: string): TsnetError =>
  new TsnetError('kernel', `firewalld, ${what}: ${text.slice(0, 300)}`)
