/**
 * The role `tuning`: a drop-in for the reference plugin of that name. It changes an interface that is there
 * and passes on the result of those before it, with what it changed.
 */

import type { Tuning } from '../../drop-in/tuning.ts'
import { readValidAttachments } from '../config/config.ts'
import type { Result } from '../config/previous.ts'
import type { Plugin, PluginCall } from '../plugin.ts'
import { shapeResult } from '../result.ts'
import { chainedCallOf, keyOf, needPrevious } from './chained-config.ts'
import { readDataDir, readTuning } from './tuning-config.ts'

export const tuning: Plugin = {
  read(asked) {
    requestOf(asked)
    previousOf(asked)
    return undefined
  },

  async add(asked) {
    const request = requestOf(asked)
    const result = shapeResult(withTuning(previousOf(asked), request.ifname, request.tuning), asked.version)
    const { tune } = await import('../../drop-in/tuning.ts')
    await tune(request, request)
    return result
  },

  async del(asked) {
    const { untune } = await import('../../drop-in/tuning.ts')
    const request = { ...chainedCallOf(asked), dataDir: readDataDir(asked.config) }
    await untune(request, request)
  },

  async check(asked) {
    const request = requestOf(asked)
    previousOf(asked)
    const { checkTuning } = await import('../../drop-in/tuning.ts')
    await checkTuning(request, request)
  },

  async gc(asked) {
    const { config } = asked
    const { collectTuning } = await import('../../drop-in/tuning.ts')
    await collectTuning(keyOf(asked).network, readDataDir(config), readValidAttachments(config))
  },

  async status({ config, call }) {
    const request = { tuning: readTuning(config, call.args), ifname: 'eth0' }
    const { refuseUnfit } = await import('../../drop-in/tuning.ts')
    refuseUnfit(request)
  },
}

const requestOf = (asked: PluginCall) => ({
  ...chainedCallOf(asked),
  tuning: readTuning(asked.config, asked.call.args),
  dataDir: readDataDir(asked.config),
})

const previousOf = ({ config }: PluginCall): Result =>
  config.get('prevResult').present
    ? needPrevious(config)
    : config.get('prevResult').refuse('is missing. Required prevResult missing: tuning follows other plugins')

/** What is said of the container's interface becomes what it is now. */
function withTuning(result: Result, ifname: string, { mac, mtu }: Tuning): Result {
  const changes = { ...(mac !== undefined && { mac }), ...(mtu !== undefined && { mtu }) }
  const interfaces = result.interfaces.map(each =>
    each.name === ifname && each.sandbox ? { ...each, ...changes } : each,
  )
  return { ...result, interfaces }
}
