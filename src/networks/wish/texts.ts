/** The values of options, as they are written, to plain values; each complaint names the option. */

import { type Cidr, type Ip, networkOf, parseCidr, tryParseIp } from '../../model/address/address.ts'
import { messageOf, TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'

export const refuse = (message: string): TsnetError => new TsnetError('invalid-environment', message)

/** `10.1.2.3/16` is as good as its network: Docker takes it so. */
export function readSubnet(option: string, text: string): Cidr {
  return networkOf(asOption(option, () => parseCidr(text, option)))
}

export function readIp(option: string, text: string): Ip {
  const ip = tryParseIp(text)
  if (ip === undefined) throw refuse(`${option}: ${shown(text)} is not an IP address`)
  return ip
}

const UNITS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 }

/** Bits a second; units are powers of a thousand, as `tc` and the sellers of links have them. */
export function rate(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, number = '', unit = ''] = /^(\d{1,15}(?:\.\d{1,3})?)([kmgt]?)(?:bit)?$/i.exec(text) ?? []
  const bits = Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN)
  if (number === '' || !(bits >= 8_000))
    throw refuse(`${option}: ${shown(text)} is no number of bits a second, such as 100M, of 8k or more`)
  return Math.round(bits)
}

export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (number >= least && number <= most) return number
  throw refuse(`${option}: ${shown(text)} is not a whole number from ${least} to ${most}`)
}

/** What a reader of configurations refuses, was an option here. */
export function asOption<T>(option: string, read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    throw refuse(messageOf(thrown).replace(/^name: /, `${option}: `))
  }
}
