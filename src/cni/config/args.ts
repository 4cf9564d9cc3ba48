/**
 * CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.1.0.7`.
 *
 * The old way to hand over what runtimeConfig and args.cni say now. A key that nobody here knows is an
 * error unless IgnoreUnknown says otherwise, as in the reference.
 */

import { TsnetError } from '../../model/errors.ts'
import { Json } from '../../model/json/json.ts'
import { shown } from '../../model/json/shown.ts'

/** What we read of CNI_ARGS; each value remembers where it came from. */
export interface Args {
  /** A comma-separated list of addresses, as the static plugin takes it. */
  ips: Json[]
  mac: Json
  podName: Json
}

// Keys of ours and those that Kubernetes' runtimes send.
const known = [
  'IgnoreUnknown',
  'IP',
  'MAC',
  'K8S_POD_NAME',
  'K8S_POD_NAMESPACE',
  'K8S_POD_INFRA_CONTAINER_ID',
  'K8S_POD_UID',
]

/**
 * @param tolerant unknown keys are somebody else's to judge
 * @throws TsnetError `invalid-environment`
 */
export function readArgs(text: string, tolerant = false): Args {
  const pairs = parsePairs(text)
  const unknown = [...pairs].filter(([key]) => !known.includes(key)).map(([key, value]) => `${key}=${value}`)
  if (unknown.length > 0 && !tolerant && !ignoresUnknown(pairs.get('IgnoreUnknown'))) {
    throw new TsnetError('invalid-environment', `CNI_ARGS: unknown args ${shown(unknown)}`)
  }
  const at = (key: string, value = pairs.get(key)) => new Json(value, `CNI_ARGS.${key}`)
  return {
    ips: (pairs.get('IP') || undefined)?.split(',').map(ip => at('IP', ip)) ?? [],
    mac: at('MAC'),
    podName: at('K8S_POD_NAME'),
  }
}

function parsePairs(text: string): Map<string, string> {
  if (text === '') return new Map()
  return new Map(
    text.split(';').map(pair => {
      const [key, value, ...rest] = pair.split('=')
      if (key === undefined || value === undefined || rest.length > 0) {
        throw new TsnetError('invalid-environment', `CNI_ARGS: invalid pair ${shown(pair)}`)
      }
      return [key, value]
    }),
  )
}

function ignoresUnknown(value = ''): boolean {
  if (/^(1|true)$/i.test(value)) return true
  if (/^(0|false)?$/i.test(value)) return false
  throw new TsnetError(
    'invalid-environment',
    `CNI_ARGS.IgnoreUnknown: ${shown(value)} is neither true nor false`,
  )
}
