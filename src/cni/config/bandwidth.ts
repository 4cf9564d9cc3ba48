/** Limits of the reference bandwidth plugin, in bits and bits per second. */

import type { Json } from '../../model/json/json.ts'
import type { Bandwidth } from '../../model/network.ts'

// tbf counts a burst in 32 bits of bytes.
const MAX_BURST_BITS = 0xffff_ffff * 8 - 1

/**
 * The limits in the configuration itself; where it has none, the runtime's. Undefined: no limit.
 * @throws TsnetError `invalid-config`
 */
export function readBandwidth(config: Json): Bandwidth | undefined {
  return readLimits(config) ?? readLimits(config.get('runtimeConfig').get('bandwidth'))
}

const KEYS = ['ingressRate', 'ingressBurst', 'egressRate', 'egressBurst']

/**
 * As the reference plugin reads them: a configuration that names any of the keys, be it as 0, has the last
 * word.
 * @throws TsnetError `invalid-config`
 */
export function readReferenceBandwidth(config: Json): Bandwidth | undefined {
  const isStatic = KEYS.some(key => config.get(key).present)
  return readLimits(isStatic ? config : config.get('runtimeConfig').get('bandwidth'))
}

function readLimits(json: Json): Bandwidth | undefined {
  const rate = (key: string) => json.get(key).number(0, Number.MAX_SAFE_INTEGER) ?? 0
  const burst = (key: string) => json.get(key).number(0, MAX_BURST_BITS) ?? 0
  const limits = {
    ingressRate: rate('ingressRate'),
    ingressBurst: burst('ingressBurst'),
    egressRate: rate('egressRate'),
    egressBurst: burst('egressBurst'),
  }
  for (const way of ['ingress', 'egress'] as const) {
    if (limits[`${way}Rate`] > 0 !== limits[`${way}Burst`] > 0) {
      const [has, lacks] = limits[`${way}Rate`] > 0 ? ['Rate', 'Burst'] : ['Burst', 'Rate']
      json.get(`${way}${has}`).refuse(`is of no use without ${way}${lacks}`)
    }
  }
  return limits.ingressRate > 0 || limits.egressRate > 0 ? limits : undefined
}
