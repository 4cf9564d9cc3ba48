/**
 * The role `loopback`: a container's `lo`, whatever CNI_IFNAME says.
 *
 * A prevResult is passed on as it is. There is nothing to collect and nothing that could run out.
 */

import { attachLoopback, checkLoopback, detachLoopback } from '../../drop-in/loopback.ts'
import { readPrevious } from '../config/previous.ts'
import type { Plugin } from '../plugin.ts'
import { shapeResult } from '../result.ts'

export const loopback: Plugin = {
  read({ config }) {
    readPrevious(config)
    return undefined
  },

  async add({ call, config, version }) {
    const previous = readPrevious(config)
    const addresses = attachLoopback(call.netns, { allowOwnNetns: call.allowOwnNetns })
    const own = {
      interfaces: [{ name: 'lo', mac: '00:00:00:00:00:00', sandbox: call.netns }],
      ips: addresses.map(address => ({ address, interface: 0 })),
      routes: [],
    }
    return shapeResult(previous ?? own, version)
  },

  async del({ call }) {
    if (call.netns !== '') detachLoopback(call.netns, { allowOwnNetns: call.allowOwnNetns })
  },

  async check({ call }) {
    checkLoopback(call.netns, { allowOwnNetns: call.allowOwnNetns })
  },

  async gc() {},

  async status() {},
}
