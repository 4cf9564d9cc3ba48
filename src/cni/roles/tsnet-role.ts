/**
 * The role `tsnet`: bridge, addresses, NAT, ports and shaping in one plugin.
 *
 * DEL is forgiving. What was made is on record, so of the configuration only the name of the network is
 * needed; the rest serves where the record is lost.
 */

import { present } from '../../model/present.ts'
import type { DetachHint } from '../../network/network.ts'
import { atLeast } from '../../runtime/cni-versions.ts'
import { readAttachRequest, readNetwork, readValidAttachments } from '../config/config.ts'
import { readHostsIpam } from '../config/hosts.ts'
import { readIpam } from '../config/ipam.ts'
import { checkNetworkName } from '../config/names.ts'
import { readPrevious } from '../config/previous.ts'
import type { Plugin, PluginCall } from '../plugin.ts'
import { noAddresses, resultOf, shapeResult } from '../result.ts'

export const tsnet: Plugin = {
  read: asked => readAll(asked).request.network,

  async add(asked) {
    const { call, version, env } = asked
    const { request, previous } = readAll(asked)
    const { attach, detach } = await asked.operations()
    const attachment = await attach(request, {
      allowOwnNetns: call.allowOwnNetns,
      ...present({ confDir: env.NETCONFPATH || undefined }),
    })
    try {
      return shapeResult(resultOf(attachment, previous), version)
    } catch (thrown) {
      await detach(keyOf(asked), hintFor(asked))
      throw thrown
    }
  },

  async del(asked) {
    const { detach } = await asked.operations()
    await detach(keyOf(asked), hintFor(asked))
  },

  async check({ call, config, version, env, operations }) {
    const request = readAttachRequest(config, version, call, env)
    const previous =
      readPrevious(config) ?? config.get('prevResult').refuse('is missing; CHECK compares with it')
    const { check } = await operations()
    const raw = config.get('prevResult').object()
    await check(request, { ...previous, raw }, { allowOwnNetns: call.allowOwnNetns })
  },

  async gc({ call, config, version, env, operations }) {
    const network = readNetwork(config, version, call, env)
    const valid = readValidAttachments(config)
    const { collect } = await operations()
    await collect(network, valid)
  },

  async status({ call, config, version, env, operations }) {
    const network = readNetwork(config, version, call, env)
    const { status } = await operations()
    await status(network)
  },
}

function readAll({ call, config, version, env }: PluginCall) {
  const request = readAttachRequest(config, version, call, env)
  const previous = readPrevious(config)
  if (request.network.ipam.kind === 'none' && !atLeast(version, '0.3.0')) throw noAddresses(version)
  return { request, previous }
}

const keyOf = ({ call, config }: PluginCall) => ({
  network: checkNetworkName(config.get('name').text()),
  containerId: call.containerId,
  ifname: call.ifname,
})

/** What DEL still knows. A configuration that became unreadable since ADD is no reason to keep things. */
function hintFor({ call, config, version }: PluginCall): DetachHint {
  const hint: DetachHint = call.netns === '' ? {} : { netns: call.netns }
  try {
    hint.ipam = config.get('hosts').present
      ? readHostsIpam(config)
      : readIpam(config, { version, path: call.path, args: call.args })
  } catch {
    // Then the record alone must do.
  }
  return hint
}
