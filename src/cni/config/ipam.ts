/**
 * The `ipam` section: none (layer 2 only), host-local (ours, in this process) or another plugin's.
 *
 * Of host-local the keys are read as the reference does: the old single range goes before `ranges`, and
 * what the runtime asks for (ipRanges) before both.
 */

import { type Cidr, familyOf } from '../../model/address/address.ts'
import { TsnetError } from '../../model/errors.ts'
import type { Json } from '../../model/json/json.ts'
import { readRoutes } from '../../model/json/result.ts'
import { shown } from '../../model/json/shown.ts'
import { readCidr, readIp } from '../../model/json/values.ts'
import { type AddressRange, type IpamOptions, LEASES_FOLDER } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { atLeast, type Version } from '../../runtime/cni-versions.ts'
import { isPluginName } from './names.ts'
import { readPath } from './path.ts'

/** What a delegated plugin needs beside its configuration. */
export interface Surroundings {
  version: Version
  /** CNI_PATH */
  path: string[]
  /** CNI_ARGS */
  args: string
}

/** @throws TsnetError `invalid-config`, `unsupported-field` or `invalid-environment` */
export function readIpam(config: Json, surroundings: Surroundings): IpamOptions {
  const ipam = config.get('ipam')
  const type = ipam.get('type').text()
  if (type === undefined) {
    if (Object.keys(ipam.object()).length > 0) ipam.get('type').refuse('is missing')
    return { kind: 'none' }
  }
  return type === 'host-local'
    ? readHostLocal(config, surroundings.version)
    : delegate(config, type, surroundings)
}

/** host-local's keys, whatever the type says. @throws TsnetError `invalid-config` */
export function readHostLocal(config: Json, version: Version): IpamOptions {
  const ipam = config.get('ipam')
  const ranges = [
    ...readRanges(config.get('runtimeConfig').get('ipRanges')),
    ...(ipam.get('subnet').present ? [[readRange(ipam)]] : []),
    ...readRanges(ipam.get('ranges')),
  ]
  if (ranges.length === 0) ipam.get('ranges').refuse('is missing: no address range is given')
  checkOnePerFamily(ranges, version)
  return present({
    kind: 'host-local' as const,
    ranges,
    dataDir: readPath(ipam.get('dataDir')) ?? LEASES_FOLDER,
    routes: readRoutes(ipam.get('routes'), 'strict'),
    resolvConf: readPath(ipam.get('resolvConf')),
  })
}

/** All that it takes to give addresses back. */
export const readHostLocalStore = (config: Json): IpamOptions => ({
  kind: 'host-local',
  ranges: [],
  dataDir: readPath(config.get('ipam').get('dataDir')) ?? LEASES_FOLDER,
  routes: [],
})

// Results of these versions have room for one address of a family.
function checkOnePerFamily(ranges: AddressRange[][], version: Version): void {
  if (atLeast(version, '0.3.0')) return
  const families = ranges.map(([first]) => familyOf(first?.subnet ?? ('0.0.0.0/0' as Cidr)))
  if (new Set(families).size === families.length) return
  throw new TsnetError(
    'incompatible-version',
    `CNI version ${version} does not support more than 1 address per family`,
    { details: `cniVersion: ${shown(version)}, ipam.ranges has ${ranges.length} sets of ranges` },
  )
}

const readRanges = (json: Json): AddressRange[][] =>
  json.list().map(set => {
    const ranges = set.list().map(readRange)
    return ranges.length > 0 ? ranges : set.refuse('is an empty set of ranges')
  })

function readRange(json: Json): AddressRange {
  return present({
    subnet: readCidr(json.get('subnet')) ?? json.get('subnet').refuse('is missing'),
    rangeStart: readIp(json.get('rangeStart')),
    rangeEnd: readIp(json.get('rangeEnd')),
    gateway: readIp(json.get('gateway')),
  })
}

function delegate(config: Json, plugin: string, { path, args }: Surroundings): IpamOptions {
  const type = config.get('ipam').get('type')
  if (!isPluginName(plugin)) return type.refuse('is not the file name of a plugin')
  if (path.length === 0) {
    throw new TsnetError(
      'invalid-environment',
      `required env variables [CNI_PATH] missing: ipam.type ${shown(plugin)} is looked for there`,
    )
  }
  config.get('ipam').leave()
  return { kind: 'delegated', delegation: { plugin, path, args, config: config.object() } }
}
