/** Networks of Docker's: a list is made for each, or one that is there is joined. */

import { removeWithMembers } from '../chain/remove.ts'
import { type Cidr, familyOf, type Ip, lengthOf, networkOf } from '../model/address/address.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import type { Json } from '../model/json/json.ts'
import { readCidr, readIpOrCidr } from '../model/json/values.ts'
import {
  createNetwork,
  type DriverOptions,
  type Host,
  listInfos,
  readOptions,
  readWish,
} from '../networks/networks.ts'
import { type DockerNetwork, findKnown, forget, readId, writeKnown } from './known.ts'
import { letGoOfPools } from './pools.ts'
import { networkCalled, subnetsOf } from './subnets.ts'
import type { Asker } from './world.ts'

/** What Docker's IPAM gave the network, of one family. */
interface Pool {
  subnet: Cidr
  gateway?: Ip
}

const OPTION = 'com.docker.network.'

/** Succeeds once more for one that is there. @throws TsnetError */
export async function createDockerNetwork(asked: Json, { host }: Asker): Promise<object> {
  const id = readId(asked, 'NetworkID')
  const options = asked.get('Options')
  const flag = (name: string) => options.exactly(OPTION + name).flag()
  const read = readOptions(textsIn(options.exactly(`${OPTION}generic`)))
  const pools = [...poolsIn(asked.get('IPv4Data')), ...poolsIn(asked.get('IPv6Data'))]
  const asks = { internal: flag('internal') === true, ipv6: flag('enable_ipv6') === true }
  const subnets = pools.map(({ subnet }) => subnet)
  if (read.joins !== undefined) {
    checkJoined(read.joins, { ...asks, subnets }, host)
    writeKnown({ id, network: read.joins, isMade: false, subnets })
  } else await makeList({ id, pools, read, ...asks }, host)
  letGoOfPools(subnets)
  return {}
}

/** docker compose says its own beside them. */
const textsIn = (generic: Json): Record<string, string> =>
  Object.fromEntries(
    Object.entries(generic.object())
      .filter(([key]) => !key.startsWith('com.docker.compose.'))
      .map(([key, value]) => [key, String(value)]),
  )

/** @throws Refusal for what a network of ours cannot be */
function poolsIn(data: Json): Pool[] {
  const pools = data.list().flatMap((entry): Pool[] => {
    const aux = entry.get('AuxAddresses')
    if (Object.keys(aux.object()).length > 0)
      aux.refuse(
        'cannot be kept free (--aux-address): have addresses given out of a part, --ip-range',
        'unsupported-field',
      )
    const pool = readCidr(entry.get('Pool'))
    // Of `--ipam-driver null`.
    if (pool === undefined || lengthOf(pool) === 0) return []
    const gateway = readIpOrCidr(entry.get('Gateway'))
    return [{ subnet: networkOf(pool), ...(gateway !== undefined && { gateway }) }]
  })
  if (pools.length > 1)
    data.refuse(
      'is more than one subnet of a family, of which a container of Docker has one address',
      'unsupported-field',
    )
  return pools
}

/** The file that tells of it comes first: a kill leaves nothing that Docker does not know. */
async function makeList(
  asked: { id: string; pools: Pool[]; read: DriverOptions; internal: boolean; ipv6: boolean },
  host: Host,
): Promise<void> {
  const { id, pools, read, internal, ipv6 } = asked
  const network = findKnown(id)?.network ?? read.called ?? `docker-${id.slice(0, 12)}`
  const isThere = listInfos(host).some(({ name }) => name === network)
  if (findKnown(id) !== undefined && isThere) return
  const wish = readWish(network, {
    ...read.words,
    subnet: pools.map(({ subnet }) => subnet),
    gateway: pools.flatMap(({ gateway }) => gateway ?? []),
    ...(internal && { internal }),
    ...(ipv6 && { ipv6 }),
  })
  writeKnown({ id, network, isMade: true, subnets: pools.map(({ subnet }) => subnet) })
  try {
    await createNetwork(wish, host, { madeFor: { runtime: 'docker', id } })
  } catch (thrown) {
    forget(id)
    throw thrown
  }
}

/** @throws TsnetError `invalid-environment`, `unsupported-field` */
function checkJoined(
  name: string,
  { internal, ipv6, subnets }: { internal: boolean; ipv6: boolean; subnets: Cidr[] },
  host: Host,
): void {
  const network = networkCalled(name, host)
  const refuse = (message: string): never => {
    throw new TsnetError('invalid-environment', `-o tsnet.network=${name}: ${message}`)
  }
  if (network.ipam.kind === 'delegated') refuse('its addresses are given by another IPAM plugin')
  const has = subnetsOf(network)
  const other = subnets.find(subnet => !has.includes(subnet))
  if (other !== undefined)
    refuse(
      `its subnet is ${has.join(' and ') || 'none'}, and Docker chose ${other}; add --ipam-driver tsnet --ipam-opt tsnet.network=${name}`,
    )
  if (internal && network.bridge.isDefaultGateway)
    refuse('it is not internal, so --internal would promise what is not so')
  if (ipv6 && !has.some(subnet => familyOf(subnet) === 6))
    refuse('it has no IPv6, so --ipv6 would promise what is not so')
}

/** Where others are still on it, the list stays theirs. Succeeds for one that nobody knows. */
export async function deleteDockerNetwork(asked: Json, { host, log }: Asker): Promise<object> {
  const id = readId(asked, 'NetworkID')
  const known = findKnown(id)
  if (known === undefined) return {}
  if (known.isMade) await removeMade(known, host, log)
  forget(id)
  return {}
}

async function removeMade(
  { network }: DockerNetwork,
  host: Host,
  log: (line: string) => void,
): Promise<void> {
  const info = listInfos(host).find(({ name }) => name === network)
  if (info === undefined) return
  try {
    await removeWithMembers(info, host)
  } catch (thrown) {
    if (!hasCode(thrown, 'conflict')) throw thrown
    log(`network ${network} is Docker's no more, and stays: ${(thrown as Error).message}`)
  }
}
