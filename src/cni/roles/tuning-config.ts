/**
 * The keys of the reference plugin `tuning`, and who has the last word: `args.cni`, then the runtime, then
 * CNI_ARGS, then the configuration.
 */

import { DATA_DIR, type Tuning } from '../../drop-in/tuning.ts'
import type { Json } from '../../model/json/json.ts'
import { readMac } from '../../model/json/values.ts'
import { present } from '../../model/present.ts'
import { withoutEndSlashes } from '../../runtime/path.ts'
import { readArgs } from '../config/args.ts'
import { readPath } from '../config/path.ts'
import { repeatedKey } from '../config/repeated-key.ts'

/** @throws TsnetError naming the key and the value */
export function readTuning(config: Json, args: string): Tuning {
  const told = config.get('args').get('cni')
  const last = (key: string): Json => (told.get(key).present ? told.get(key) : config.get(key))
  const runtimeMac = readMac(config.get('runtimeConfig').get('mac'))
  return present({
    sysctls: readSysctls(config, told),
    mac: readMac(told.get('mac')) ?? runtimeMac ?? readMac(readArgs(args).mac) ?? readMac(config.get('mac')),
    // "Off" is no wish here: it is how interfaces are.
    promiscuous: last('promisc').flag() || undefined,
    mtu: last('mtu').number(0, 0xffff_ffff) || undefined,
    allmulti: last('allmulti').flag(),
    txQueueLength: last('txQLen').number(0, 0x7fff_ffff),
  })
}

/** @throws TsnetError `invalid-config` */
export function readDataDir(config: Json): string {
  return withoutEndSlashes(readPath(config.get('dataDir')) ?? DATA_DIR)
}

/** In the order they are written, and those of `args.cni` over those of the configuration. */
function readSysctls(config: Json, told: Json): Tuning['sysctls'] {
  const repeated = repeatedKey(config.source, 'sysctl')
  if (repeated !== undefined) {
    config.get('sysctl').exactly(repeated).refuse('is there twice: duplicated sysctl keys are not allowed')
  }
  const values = new Map<string, string>()
  for (const section of [config.get('sysctl'), told.get('sysctl')]) {
    for (const key of Object.keys(section.object())) {
      const value = section.exactly(key)
      values.set(key, value.text() ?? value.refuse('is empty'))
    }
  }
  return [...values].map(([key, value]) => ({ key, value }))
}
