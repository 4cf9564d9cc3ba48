/**
 * The role `tuning`: a drop-in for the reference plugin of that name. It changes an interface that is there
 * and passes on the result of those before it, with what it changed.
 */

import type { AttachmentKey } from '../model/network.ts'
import type { Tuning } from '../network/tune.ts'
import { readValidAttachments } from './config.ts'
import { checkNetworkName } from './names.ts'
import type { Plugin, PluginCall } from './plugin.ts'
import { type Result, readPrevious } from './previous.ts'
import { shapeResult } from './result.ts'
import { readDataDir, readTuning } from './tuning-config.ts'

export const tuning: Plugin = {
  async add(asked) {
    const request = requestOf(asked)
    const result = shapeResult(withTuning(previousOf(asked), request.ifname, request.tuning), asked.version)
    const { tune } = await import('../network/tune.ts')
    await tune(request, { allowOwnNetns: asked.call.allowOwnNetns })
    return result
  },

  async del(asked) {
    const { call, config } = asked
    const { untune } = await import('../network/tune.ts')
    const request = { ...keyOf(asked), netns: call.netns, dataDir: readDataDir(config) }
    await untune(request, { allowOwnNetns: call.allowOwnNetns })
  },

  async check(asked) {
    const request = requestOf(asked)
    previousOf(asked)
    const { checkTuning } = await import('../network/tune.ts')
    await checkTuning(request, { allowOwnNetns: asked.call.allowOwnNetns })
  },

  async gc({ config }) {
    const { collectTuning } = await import('../network/tune.ts')
    await collectTuning(networkOf(config), readDataDir(config), readValidAttachments(config))
  },

  async status({ config, call }) {
    const request = { tuning: readTuning(config, call.args), ifname: 'eth0' }
    const { refuseUnfit } = await import('../network/tune.ts')
    refuseUnfit(request)
  },
}

const networkOf = (config: PluginCall['config']): string => checkNetworkName(config.get('name').text())

const keyOf = ({ call, config }: PluginCall): AttachmentKey => ({
  network: networkOf(config),
  containerId: call.containerId,
  ifname: call.ifname,
})

const requestOf = (asked: PluginCall) => ({
  ...keyOf(asked),
  netns: asked.call.netns,
  tuning: readTuning(asked.config, asked.call.args),
  dataDir: readDataDir(asked.config),
})

const previousOf = ({ config }: PluginCall): Result =>
  readPrevious(config) ??
  config.get('prevResult').refuse('is missing. Required prevResult missing: tuning follows other plugins')

/** What is said of the container's interface becomes what it is now. */
function withTuning(result: Result, ifname: string, { mac, mtu }: Tuning): Result {
  const changes = { ...(mac !== undefined && { mac }), ...(mtu !== undefined && { mtu }) }
  const interfaces = result.interfaces.map(each =>
    each.name === ifname && each.sandbox ? { ...each, ...changes } : each,
  )
  return { ...result, interfaces }
}
