/**
 * The role `firewall`: a drop-in for the reference plugin of that name.
 *
 * Its result is the one that it was given.
 */

import { type FirewallBackend, ingressPolicies } from '../../model/chained.ts'
import { parseInterfaceName } from '../../model/interface-name.ts'
import type { Json } from '../../model/json/json.ts'
import { present } from '../../model/present.ts'
import { readValidAttachments } from '../config/config.ts'
import type { Result } from '../config/previous.ts'
import type { Plugin, PluginCall } from '../plugin.ts'
import { shapeResult } from '../result.ts'
import { anyPrevious, chainedCallOf, keyOf, needPrevious } from './chained-config.ts'
import { readChainName } from './portmap-config.ts'

const work = () => import('../../drop-in/firewall.ts')

export const firewall: Plugin = {
  read(asked) {
    requestOf(asked, needPrevious(asked.config))
    return undefined
  },

  async add(asked) {
    const previous = needPrevious(asked.config)
    const request = requestOf(asked, previous)
    const result = shapeResult(previous, asked.version)
    await (await work()).letThrough(request)
    return result
  },

  async del(asked) {
    const previous = anyPrevious(asked.config)
    await (await work()).letThroughNoMore(keyOf(asked), previous && hintOf(asked.config, previous))
  },

  async check(asked) {
    const request = requestOf(asked, needPrevious(asked.config))
    await (await work()).checkFirewall(request)
  },

  async gc({ config }) {
    const valid = readValidAttachments(config)
    await (await work()).collectFirewall(config.get('name').text() ?? '', valid)
  },

  async status({ config }) {
    const { backend } = readOptions(config, undefined)
    await (await work()).firewallStatus(backend)
  },
}

const requestOf = (asked: PluginCall, previous: Result) => ({
  ...chainedCallOf(asked),
  ...readOptions(asked.config, previous),
})

/** What DEL still knows. A configuration that became unreadable since ADD is no reason to keep things. */
function hintOf(config: Json, previous: Result) {
  try {
    return readOptions(config, previous)
  } catch {
    return undefined
  }
}

const backends: readonly FirewallBackend[] = ['iptables', 'firewalld']

/** The keys of the reference firewall plugin, with its defaults. @throws TsnetError naming the key and the value */
function readOptions(config: Json, previous: Result | undefined) {
  const choice = <T extends string>(key: string, known: readonly T[]): T | undefined => {
    const text = config.get(key).text()
    const found = known.find(each => each === text)
    if (text === undefined || found !== undefined) return found
    return config.get(key).refuse(`is not one of ${known.join(', ')}`, 'unsupported-field')
  }
  const ingressPolicy = choice('ingressPolicy', ingressPolicies) ?? 'open'
  const zone = config.get('firewalldZone')
  const name = zone.text() ?? 'trusted'
  if (!/^[A-Za-z0-9_][A-Za-z0-9_/-]{0,63}$/.test(name)) zone.refuse('is not the name of a zone')
  return present({
    backend: choice('backend', backends),
    zone: name,
    intent: present({
      addresses: (previous?.ips ?? []).map(({ address }) => address),
      adminChain: readChainName(config.get('iptablesAdminChainName')) ?? 'CNI-ADMIN',
      ingressPolicy,
      bridge:
        previous === undefined || ingressPolicy === 'open'
          ? undefined
          : bridgeOf(config, previous, ingressPolicy),
    }),
  })
}

/** The first interface of the result, which the plugin bridge puts there. */
function bridgeOf(config: Json, previous: Result, policy: string): string {
  const [first] = previous.interfaces
  if (first !== undefined) return parseInterfaceName(first.name, 'prevResult.interfaces[0].name')
  return config
    .get('prevResult')
    .refuse(`has no interface, which ingressPolicy ${policy} needs: chain firewall with bridge`)
}
