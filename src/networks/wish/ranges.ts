/** The subnets of a network to be, with gateways and the parts out of which containers get addresses. */

import {
  type Cidr,
  contains,
  familyOf,
  type Ip,
  ipOf,
  lastOf,
  numberOf,
  overlaps,
  stepFrom,
} from '../../model/address/address.ts'
import type { AddressRange } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { readIp, readSubnet, refuse } from './texts.ts'

export interface RangeWords {
  subnet?: string[]
  gateway?: string[]
  /** `CIDR`, or `FIRST-LAST`. */
  ipRange?: string[]
}

/** First and last address, both included. */
interface Part {
  text: string
  first: Ip
  last: Ip
}

/** @throws TsnetError `invalid-environment` naming the option and its value */
export function readRanges({ subnet = [], gateway = [], ipRange = [] }: RangeWords): AddressRange[] {
  const subnets = subnet.map(text => readSubnet('--subnet', text))
  subnets.forEach((one, index) => {
    const other = subnets.slice(0, index).find(each => overlaps(each, one))
    if (other !== undefined) throw refuse(`--subnet: ${one} overlaps with ${other}`)
  })
  const gateways = gateway.map(text => readIp('--gateway', text))
  const parts = ipRange.map(readPart)
  const owner = (option: string, ip: Ip, what: string) =>
    subnets.find(each => contains(each, ip)) ??
    ((): never => {
      throw refuse(
        subnets.length === 0
          ? `${option}: ${what} needs the --subnet that it is in`
          : `${option}: ${what} is in no subnet of the network (${subnets.join(', ')})`,
      )
    })()
  for (const ip of gateways) checkGateway(ip, owner('--gateway', ip, ip))
  for (const { text, first, last } of parts) {
    const whole = owner('--ip-range', first, text)
    if (!contains(whole, last)) throw refuse(`--ip-range: ${text} is not within ${whole}`)
  }
  return subnets.map(each => {
    const ofIt = gateways.filter(ip => contains(each, ip))
    const within = parts.filter(({ first }) => contains(each, first))
    if (ofIt.length > 1) throw refuse(`--gateway: ${each} has one gateway, not ${ofIt.join(' and ')}`)
    if (within.length > 1)
      throw refuse(`--ip-range: ${each} has one range, not ${within.map(({ text }) => text).join(' and ')}`)
    return present({ subnet: each, gateway: ofIt[0], ...(within[0] && endsOf(within[0], each)) })
  })
}

/** `10.1.0.128/25`, or as podman takes it as well: `10.1.0.5-10.1.0.9`. */
function readPart(text: string): Part {
  const [from = '', to] = text.split('-')
  if (to === undefined) {
    const part = readSubnet('--ip-range', text)
    return { text: part, first: ipOf(part), last: lastOf(part) }
  }
  const [first, last] = [readIp('--ip-range', from), readIp('--ip-range', to)]
  if (familyOf(first) !== familyOf(last) || numberOf(first) > numberOf(last))
    throw refuse(`--ip-range: ${first}-${last} ends before it begins`)
  return { text: `${first}-${last}`, first, last }
}

function checkGateway(ip: Ip, subnet: Cidr): void {
  const isNetwork = ip === ipOf(subnet)
  const isBroadcast = familyOf(ip) === 4 && ip === lastOf(subnet)
  if (isNetwork || isBroadcast)
    throw refuse(
      `--gateway: ${ip} is the ${isNetwork ? 'network' : 'broadcast'} address of ${subnet}, and no host's`,
    )
}

/** First and last address of a part, without those of the subnet that no container can have. */
function endsOf({ first, last }: Part, subnet: Cidr): Pick<AddressRange, 'rangeStart' | 'rangeEnd'> {
  const isEnd = familyOf(subnet) === 4 && last === lastOf(subnet)
  return {
    rangeStart: first === ipOf(subnet) ? stepFrom(first, 1n) : first,
    rangeEnd: isEnd ? stepFrom(last, -1n) : last,
  }
}
