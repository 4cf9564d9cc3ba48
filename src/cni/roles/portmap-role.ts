/**
 * The role `portmap`: a drop-in for the reference plugin of that name.
 *
 * Its result is the one that it was given. Without ports it changes nothing.
 */

import { readValidAttachments } from '../config/config.ts'
import type { Plugin, PluginCall } from '../plugin.ts'
import { shapeResult } from '../result.ts'
import { anyPrevious, chainedCallOf, containerAddresses, keyOf, needPrevious } from './chained-config.ts'
import { readHostPorts, readPortBackend, readPortList } from './portmap-config.ts'

const work = () => import('../../drop-in/portmap.ts')

export const portmap: Plugin = {
  read(asked) {
    requestOf(asked)
    return undefined
  },

  async add(asked) {
    const previous = needPrevious(asked.config)
    const request = requestOf(asked)
    const result = shapeResult(previous, asked.version)
    if (request.intent.ports.length > 0) await (await work()).publishPorts(request)
    return result
  },

  async del(asked) {
    await (await work()).unpublishPorts(keyOf(asked), hintOf(asked))
  },

  async check(asked) {
    needPrevious(asked.config)
    const request = requestOf(asked)
    if (request.intent.ports.length > 0) await (await work()).checkPorts(request)
  },

  async gc({ config }) {
    const valid = readValidAttachments(config)
    await (await work()).collectPorts(config.get('name').text() ?? '', valid)
  },

  async status({ config, env }) {
    const backend = readPortBackend(config, env)
    ;(await work()).portmapStatus(backend)
  },
}

function requestOf(asked: PluginCall) {
  const { config, call, env } = asked
  const backend = readPortBackend(config, env)
  const addresses = containerAddresses(needPrevious(config), call.ifname)
  const intent = readHostPorts(config, keyOf(asked), addresses)
  if (intent.ports.length > 0 && addresses.length === 0) {
    config
      .get('prevResult')
      .refuse(`has no address of ${call.ifname} in a sandbox, to which ports could lead`)
  }
  return { ...chainedCallOf(asked), ...(backend !== undefined && { backend }), intent }
}

/** What DEL still knows. A configuration that became unreadable since ADD is no reason to keep things. */
function hintOf({ config, call }: PluginCall) {
  const previous = anyPrevious(config)
  return {
    ...(previous !== undefined && { addresses: containerAddresses(previous, call.ifname) }),
    ...quietly(() => ({ ports: readPortList(config) })),
  }
}

function quietly<T extends object>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
