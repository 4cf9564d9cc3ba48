/**
 * The role `bridge`: the reference's plugin of that name, with its keys, defaults, results and refusals.
 *
 * As there, a prevResult of ADD counts for nothing: the result is about this link alone. host-local works in
 * this process, other IPAM plugins are found in CNI_PATH and run.
 */

import { TsnetError } from '../../model/errors.ts'
import type { AttachRequest } from '../../model/network.ts'
import type { Foreign } from '../../network/bridge-role/end.ts'
import type { DetachHint } from '../../network/network.ts'
import { atLeast } from '../../runtime/cni-versions.ts'
import { readValidAttachments } from '../config/config.ts'
import { checkNetworkName } from '../config/names.ts'
import { readPrevious } from '../config/previous.ts'
import type { Plugin, PluginCall } from '../plugin.ts'
import { noAddresses, resultOf, shapeResult } from '../result.ts'
import { readDropInNetwork, readDropInRequest } from './bridge-role-config.ts'

export const bridge: Plugin = {
  read: asked => readAll(asked).network,

  async add(asked) {
    const { call, version } = asked
    const request = readAll(asked)
    const { attach, detach } = await asked.operations()
    const attachment = await attach(request, { allowOwnNetns: call.allowOwnNetns })
    try {
      return shapeResult(resultOf(attachment), version)
    } catch (thrown) {
      await detach(keyOf(asked), hintFor(asked))
      throw thrown
    }
  },

  async del(asked) {
    const { detach } = await asked.operations()
    await detach(keyOf(asked), hintFor(asked), { allowOwnNetns: asked.call.allowOwnNetns })
  },

  async check(asked) {
    const { call, config } = asked
    const request = readDropInRequest(asked)
    const previous = readPrevious(config)
    if (previous === undefined) throw new TsnetError('invalid-config', 'Required prevResult missing')
    const { check } = await asked.operations()
    const raw = config.get('prevResult').object()
    await check(request, { ...previous, raw }, { allowOwnNetns: call.allowOwnNetns })
  },

  async gc(asked) {
    const network = readDropInNetwork(asked)
    const valid = readValidAttachments(asked.config)
    const { collect } = await asked.operations()
    await collect(network, valid)
  },

  async status(asked) {
    const network = readDropInNetwork(asked)
    const { status } = await asked.operations()
    await status(network)
  },
}

function readAll(asked: PluginCall): AttachRequest {
  const request = readDropInRequest(asked)
  if (request.network.ipam.kind === 'none' && !atLeast(asked.version, '0.3.0'))
    throw noAddresses(asked.version)
  return request
}

const keyOf = ({ call, config }: PluginCall) => ({
  network: checkNetworkName(config.get('name').text()),
  containerId: call.containerId,
  ifname: call.ifname,
})

/** What DEL still knows. What became unreadable since ADD is no reason to keep things. */
function hintFor(asked: PluginCall): DetachHint {
  const { netns } = asked.call
  const hint: DetachHint = { foreign: foreignIn(asked), ...(netns === '' ? {} : { netns }) }
  try {
    hint.ipam = readDropInNetwork(asked).ipam
  } catch {
    // Then the record and the kernel must do.
  }
  return hint
}

function foreignIn({ call, config }: PluginCall): Foreign {
  try {
    const { interfaces = [], ips = [] } = readPrevious(config) ?? {}
    const own = interfaces.findIndex(({ name, sandbox }) => name === call.ifname && sandbox)
    return {
      hostInterfaces: interfaces.flatMap(({ name, mac, sandbox }) =>
        mac === undefined || sandbox ? [] : [{ name, mac }],
      ),
      addresses: ips
        .filter(ip => ip.interface === undefined || ip.interface === own)
        .map(({ address }) => address),
    }
  } catch {
    return { hostInterfaces: [], addresses: [] }
  }
}
