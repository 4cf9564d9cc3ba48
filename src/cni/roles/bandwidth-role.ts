/**
 * The role `bandwidth`: a drop-in for the reference plugin of that name. It limits an interface that is
 * there, and adds to the result of those before it the ifb that takes.
 */

import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import type { Bandwidth } from '../../model/network.ts'
import { atLeast, versions } from '../../runtime/cni-versions.ts'
import { readReferenceBandwidth } from '../config/bandwidth.ts'
import { readValidAttachments } from '../config/config.ts'
import type { Result } from '../config/previous.ts'
import type { Plugin, PluginCall } from '../plugin.ts'
import { shapeResult } from '../result.ts'
import { chainedCallOf, keyOf, needPrevious } from './chained-config.ts'

/** It came with chains. */
const LEAST = '0.3.0'

export const bandwidth: Plugin = {
  read(asked) {
    readAll(asked)
    return undefined
  },

  async add(asked) {
    const { limits, result } = readAll(asked)
    if (limits === undefined) return shapeResult(result, asked.version)
    const { limit } = await import('../../drop-in/bandwidth.ts')
    const request = requestOf(asked, result, limits)
    const ifb = await limit(request, request)
    // The reference tells no more of it than these two.
    const added = ifb === undefined ? [] : [{ name: ifb.name, mac: ifb.mac }]
    const interfaces = [...result.interfaces, ...added]
    return shapeResult({ ...result, interfaces }, asked.version)
  },

  async del(asked) {
    const { unlimit } = await import('../../drop-in/bandwidth.ts')
    await unlimit(keyOf(asked))
  },

  async check(asked) {
    const limits = readReferenceBandwidth(asked.config)
    const result = needPrevious(asked.config)
    if (limits === undefined) return
    const { checkLimit } = await import('../../drop-in/bandwidth.ts')
    const request = requestOf(asked, result, limits)
    await checkLimit(request, request)
  },

  async gc(asked) {
    const { collectLimits } = await import('../../drop-in/bandwidth.ts')
    await collectLimits(keyOf(asked).network, readValidAttachments(asked.config))
  },

  async status({ config }) {
    readReferenceBandwidth(config)
  },
}

function readAll(asked: PluginCall) {
  refuseOld(asked)
  return { limits: readReferenceBandwidth(asked.config), result: needPrevious(asked.config) }
}

function refuseOld({ version }: PluginCall): void {
  if (atLeast(version, LEAST)) return
  const supported = versions.filter(each => atLeast(each, LEAST))
  throw new TsnetError('incompatible-version', 'incompatible CNI versions', {
    details: `config is ${shown(version)}, plugin supports ${JSON.stringify(supported)}`,
  })
}

const requestOf = (asked: PluginCall, { interfaces }: Result, limits: Bandwidth) => ({
  ...chainedCallOf(asked),
  bandwidth: limits,
  interfaces,
})
