/**
 * The command line of docker-proxy, 20.10 to now, as Go's `flag` reads it: `-x v`, `-x=v`, `--x v`; what
 * comes after the first word that is no flag is not looked at. Beyond docker-proxy, a link-local `-host-ip` names
 * its interface, without which nothing can listen there: `fe80::1%eth0`.
 */

import { type HostIp, type Ip, tryParseIp } from '../model/address/address.ts'
import { tryParseHostIp } from '../model/address/host.ts'
import { TsnetError } from '../model/errors.ts'
import { cut, shown } from '../model/json/shown.ts'
import { type ProxyCall, protocolOf } from '../model/proxy-call.ts'

export type Arguments =
  | { wants: 'help' | 'version' }
  /** `useListenFd`: the socket is dockerd's, descriptor 4. */
  | { wants: 'port'; call: ProxyCall; useListenFd: boolean }

/** Go prints them in this order. */
const words = {
  'container-ip': { kind: 'ip', means: 'container ip', by: '0.0.0.0' },
  'container-port': { kind: 'int', means: 'container port', by: '-1' },
  'host-ip': { kind: 'host ip', means: 'host ip', by: '0.0.0.0' },
  'host-port': { kind: 'int', means: 'host port', by: '-1' },
  proto: { kind: 'string', means: 'proxy protocol', by: 'tcp' },
  'use-listen-fd': { kind: 'bool', means: 'use a supplied listen fd', by: 'false' },
  v: { kind: 'bool', means: 'print version information and quit', by: 'false' },
  version: { kind: 'bool', means: 'print version information and quit', by: 'false' },
} as const

type Name = keyof typeof words

const isName = (text: string): text is Name => Object.hasOwn(words, text)

export const usage = (): string =>
  `Usage of docker-proxy:\n${Object.entries(words)
    .map(([name, { kind, means, by }]) => {
      const type = kind === 'bool' ? '' : ` ${kind === 'host ip' ? 'ip' : kind}`
      const instead = kind === 'bool' ? '' : ` (default ${kind === 'int' ? by : JSON.stringify(by)})`
      return `  -${name}${type}\n    \t${means}${instead}\n`
    })
    .join('')}`

/**
 * @throws TsnetError `invalid-environment` for what Go's flags refuse, `unsupported-field` for a protocol that
 *   there is not, `invalid-config` for a port that there is not
 */
export function readArguments(args: readonly string[]): Arguments {
  const flags = readFlags(args)
  if (flags === 'help') return { wants: 'help' }
  const value = (name: Name) => flags.get(name) ?? words[name].by
  if (isTrue(value('v')) || isTrue(value('version'))) return { wants: 'version' }
  const protocol = protocolOf(value('proto'))
  if (protocol === undefined) {
    throw new TsnetError('unsupported-field', `unsupported protocol ${cut(value('proto'))}`)
  }
  const hostIp = value('host-ip') as HostIp
  const hostPort = Number(value('host-port'))
  const containerPort = Number(value('container-port'))
  if (!(hostPort >= 0 && hostPort <= 65_535)) {
    const where = describeEndpoint(protocol, hostIp, hostPort)
    throw new TsnetError('invalid-config', `listen ${where}: bind: invalid argument`)
  }
  if (!(containerPort >= 1 && containerPort <= 65_535)) {
    throw new TsnetError('invalid-config', `container port ${containerPort} is not within 1-65535`)
  }
  const call = { protocol, hostIp, hostPort, containerIp: value('container-ip') as Ip, containerPort }
  return { wants: 'port', call, useListenFd: isTrue(value('use-listen-fd')) }
}

/** As Go names the place where something listens: `tcp4 127.0.0.1:80`, `tcp6 [::]:80`. */
export function describeEndpoint(protocol: string, ip: HostIp, port: number): string {
  const v6 = ip.includes(':')
  const family = protocol === 'sctp' ? '' : v6 ? '6' : '4'
  return `${protocol}${family} ${v6 ? `[${ip}]` : ip}:${port}`
}

function readFlags(args: readonly string[]): Map<Name, string> | 'help' {
  const flags = new Map<Name, string>()
  const rest = [...args]
  for (let word = rest.shift(); word !== undefined && /^--?[^-]/.test(word); word = rest.shift()) {
    const [, name = '', joined] = /^--?([^=]*)(?:=(.*))?$/s.exec(word) ?? []
    if (name === '' || name.startsWith('-')) throw refuse(`bad flag syntax: ${cut(word)}`)
    if (!isName(name)) {
      if (name === 'h' || name === 'help') return 'help'
      throw refuse(`flag provided but not defined: -${cut(name)}`)
    }
    const value = joined ?? (words[name].kind === 'bool' ? 'true' : rest.shift())
    if (value === undefined) throw refuse(`flag needs an argument: -${name}`)
    flags.set(name, checked(name, value))
  }
  return flags
}

function checked(name: Name, value: string): string {
  const { kind } = words[name]
  switch (kind) {
    case 'host ip':
    case 'ip': {
      const ip = kind === 'ip' ? tryParseIp(value) : tryParseHostIp(value)
      if (ip !== undefined) return ip
      throw refuse(`invalid value ${shown(value)} for flag -${name}: invalid IP address: ${cut(value)}`)
    }
    case 'int': {
      const number = readInteger(value)
      if (Number.isSafeInteger(number)) return String(number)
      throw refuse(`invalid value ${shown(value)} for flag -${name}: parse error`)
    }
    case 'bool':
      if (isTrue(value) || FALSE.includes(value)) return value
      throw refuse(`invalid boolean value ${shown(value)} for -${name}: parse error`)
    case 'string':
      return value
  }
}

/** As Go's strconv.ParseInt reads one with base 0: a leading zero is octal, underscores part digits. NaN: it is none. */
function readInteger(text: string): number {
  const [, sign, octal, other] = INTEGER.exec(text) ?? []
  const digits = octal === undefined ? other : `0o0${octal}`
  const number = digits === undefined ? Number.NaN : Number(digits.replaceAll('_', ''))
  return sign === '-' ? -number : number
}

const INTEGER = /^([+-]?)(?:0((?:_?[0-7])*)|(0x(?:_?[\da-f])+|0b(?:_?[01])+|0o(?:_?[0-7])+|[1-9](?:_?\d)*))$/i

const FALSE = ['0', 'f', 'F', 'false', 'FALSE', 'False']
const isTrue = (value: string): boolean => ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)

const refuse = (message: string): TsnetError => new TsnetError('invalid-environment', message)
