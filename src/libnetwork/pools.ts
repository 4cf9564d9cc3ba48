/**
 * Pools and addresses, as Docker asks for them (`--ipam-driver tsnet`).
 *
 * A pool is known by what it is, so that nothing has to be remembered: `10.210.0.0/24`, behind it the part out of which
 * addresses are given, before it the list that it is of where one was named. Until a network is made of it, it is held here
 * alone, so that two that are made at once do not get the same.
 */

import { suggestAddress } from '../ipam/ipam.ts'
import {
  type Cidr,
  cidrOf,
  contains,
  type Family,
  familyOf,
  type Ip,
  ipOf,
  lastOf,
  lengthOf,
  networkOf,
  parseCidr,
  stepFrom,
} from '../model/address/address.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import type { Json } from '../model/json/json.ts'
import { readCidr, readIpOrCidr } from '../model/json/values.ts'
import { present } from '../model/present.ts'
import { placedHere } from '../network/addresses.ts'
import { collect } from '../network/network.ts'
import { type Host, otherNetworks } from '../networks/networks.ts'
import { chooseSubnet, configuredPools, requireFree } from '../networks/subnets.ts'
import { takenOn } from '../networks/taken.ts'
import { listKnownNetworks } from './known.ts'
import { networkCalled, rangeOf, subnetsOf } from './subnets.ts'
import type { Asker } from './world.ts'

interface PoolId {
  subnet: Cidr
  /** Addresses are given out of this part. */
  part?: Cidr
  /** The list that it is of. */
  network?: string
}

const print = ({ network = '', subnet, part = '' as Cidr }: PoolId): string => `${network} ${subnet} ${part}`

function readPoolId(asked: Json): PoolId {
  const json = asked.get('PoolID')
  const text = json.text() ?? json.refuse('is missing')
  const [network = '', subnet = '', part = ''] = text.split(' ')
  try {
    return {
      subnet: networkOf(parseCidr(subnet)),
      ...(part !== '' && { part: networkOf(parseCidr(part)) }),
      ...(network !== '' && { network }),
    }
  } catch {
    return json.refuse('is no pool of this driver')
  }
}

/** Pools that no network has been made of yet, and until when they are held. */
const held = new Map<Cidr, number>()
const HELD_MS = 60_000

/** Networks have been made of them, or will not be. */
export const letGoOfPools = (subnets: readonly Cidr[]): void => {
  for (const subnet of subnets) held.delete(subnet)
}

function heldNow(): Cidr[] {
  for (const [subnet, until] of held) if (until < Date.now()) held.delete(subnet)
  return [...held.keys()]
}

const LIST = 'tsnet.network'

/** @throws TsnetError `conflict`, `exhausted`, `invalid-environment` */
export function requestPool(asked: Json, { host }: Asker): object {
  const options = asked.get('Options')
  const unknown = Object.keys(options.object()).find(key => key !== LIST)
  if (unknown !== undefined)
    throw new TsnetError('invalid-environment', `--ipam-opt ${unknown}: the one option is ${LIST}=NAME`)
  const network = options.exactly(LIST).text()
  const family: Family = asked.get('V6').flag() === true ? 6 : 4
  const wanted = readCidr(asked.get('Pool'))
  const part = readCidr(asked.get('SubPool'))
  const subnet =
    network === undefined
      ? freePool(wanted && networkOf(wanted), family, host)
      : poolOf(network, family, wanted, host)
  if (part !== undefined && !(contains(subnet, ipOf(networkOf(part))) && contains(subnet, lastOf(part))))
    asked.get('SubPool').refuse(`is not within ${subnet}`)
  if (network === undefined) held.set(subnet, Date.now() + HELD_MS)
  const id = print({ subnet, ...present({ network, part: part && networkOf(part) }) })
  return { PoolID: id, Pool: subnet, Data: {} }
}

function freePool(wanted: Cidr | undefined, family: Family, host: Host): Cidr {
  const taken = [
    ...takenOn(otherNetworks(host)),
    ...heldNow().map(cidr => ({ cidr, by: `a network that is being made (${cidr})` })),
  ]
  if (wanted === undefined)
    return chooseSubnet(
      family,
      taken.map(({ cidr }) => cidr),
      configuredPools(),
    )
  requireFree(wanted, taken)
  return wanted
}

/** That of a list that is there. */
function poolOf(name: string, family: Family, wanted: Cidr | undefined, host: Host): Cidr {
  const has = subnetsOf(networkCalled(name, host))
  const [found, ...more] = has.filter(each => familyOf(each) === family)
  const refuse = (why: string): never => {
    throw new TsnetError('invalid-environment', `--ipam-opt ${LIST}=${name}: ${why}`)
  }
  if (found === undefined) return refuse(`it has no IPv${family} subnet`)
  if (more.length > 0)
    return refuse(`it has ${more.length + 1} IPv${family} subnets, and a container of Docker has one address`)
  if (wanted !== undefined && networkOf(wanted) !== found)
    return refuse(`its subnet is ${found}, not ${wanted}`)
  return found
}

export function releasePool(asked: Json): object {
  letGoOfPools([readPoolId(asked).subnet])
  return {}
}

/** Docker asks for the gateway as for any address, before there is the network. */
const GATEWAY = 'com.docker.network.gateway'

/** @throws TsnetError `exhausted`, `invalid-config` */
export async function requestAddress(asked: Json, { host }: Asker): Promise<object> {
  const pool = readPoolId(asked)
  const wanted = readIpOrCidr(asked.get('Address'))
  if (wanted !== undefined && !contains(pool.subnet, wanted))
    asked.get('Address').refuse(`is not in ${pool.subnet}`)
  const answer = (ip: Ip) => ({ Address: cidrOf(ip, lengthOf(pool.subnet)), Data: {} })
  const name =
    pool.network ?? listKnownNetworks().find(({ subnets }) => subnets.includes(pool.subnet))?.network
  const isGateway = asked.get('Options').exactly('RequestAddressType').text() === GATEWAY
  if (isGateway) return answer(gatewayFor(pool, name, wanted, host))
  // Before there is a network nobody can be on it.
  if (name === undefined) return answer(wanted ?? stepFrom(ipOf(pool.subnet), 1n))
  return answer(await suggestOn(name, pool, wanted, host))
}

function gatewayFor(
  { subnet, part }: PoolId,
  name: string | undefined,
  wanted: Ip | undefined,
  host: Host,
): Ip {
  const range = name === undefined ? undefined : rangeOf(name, subnet, undefined, host)
  const has = range === undefined ? undefined : (range.gateway ?? stepFrom(ipOf(subnet), 1n))
  if (has !== undefined && wanted !== undefined && has !== wanted)
    throw new TsnetError('invalid-environment', `--gateway: that of network ${name} is ${has}, not ${wanted}`)
  const first = stepFrom(ipOf(part ?? subnet), 1n)
  return has ?? wanted ?? first
}

async function suggestOn(name: string, pool: PoolId, wanted: Ip | undefined, host: Host): Promise<Ip> {
  const { network } = placedHere(networkCalled(name, host))
  const { ipam } = network
  if (ipam.kind !== 'host-local')
    throw new TsnetError('unsupported-field', `network ${name} has no addresses to give`)
  const range = rangeOf(name, pool.subnet, pool.part, host)
  const suggest = () => suggestAddress(name, ipam, range, wanted)
  try {
    return await suggest()
  } catch (thrown) {
    if (!hasCode(thrown, 'exhausted')) throw thrown
  }
  await collect(network, undefined)
  return suggest()
}
