/**
 * The role `host-local`: addresses for another plugin's links, from the same files as the role `tsnet`.
 *
 * Its results name no interface, since it knows of none. DEL needs no more than to know where the leases
 * are; it does not mind ranges that make no sense any more.
 */

import { checkLeases, returnLeases, takeLeases } from '../../drop-in/host-local.ts'
import { collectLeases, ipamStatus } from '../../ipam/ipam.ts'
import { readArgs } from '../config/args.ts'
import { readRequests, readValidAttachments, requestsIn } from '../config/config.ts'
import { readHostLocal, readHostLocalStore } from '../config/ipam.ts'
import { checkNetworkName } from '../config/names.ts'
import type { Plugin, PluginCall } from '../plugin.ts'
import { shapeResult } from '../result.ts'

export const hostLocal: Plugin = {
  read(asked) {
    readAll(asked)
    return undefined
  },

  async add(asked) {
    const { call, version } = asked
    const { ipam, requests } = readAll(asked)
    const { leases, ...rest } = await takeLeases(keyOf(asked), call.netns, ipam, requests)
    return shapeResult({ interfaces: [], ips: leases, ...rest }, version)
  },

  async del(asked) {
    await returnLeases(keyOf(asked), readHostLocalStore(asked.config))
  },

  async check(asked) {
    readHostLocal(asked.config, asked.version)
    checkLeases(keyOf(asked), readHostLocalStore(asked.config))
  },

  async gc({ config }) {
    await collectLeases(readHostLocalStore(config), networkOf(config), readValidAttachments(config))
  },

  async status({ config, version }) {
    await ipamStatus(readHostLocal(config, version), networkOf(config))
  },
}

const readAll = ({ call, config, version }: PluginCall) => ({
  ipam: readHostLocal(config, version),
  requests: readRequests(requestsIn(config, readArgs(call.args))),
})

const networkOf = (config: PluginCall['config']) => checkNetworkName(config.get('name').text())

const keyOf = ({ call, config }: PluginCall) => ({
  network: networkOf(config),
  containerId: call.containerId,
  ifname: call.ifname,
})
