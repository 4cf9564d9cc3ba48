/**
 * What this executable plays under which name: one table, role → plugin, loaded when it is called for.
 *
 * A runtime finds a plugin by its `type`, which is a file name; so a link to us decides what we are. The
 * roles beside `tsnet` are drop-ins for the reference plugins of the same name: dist/drop-in has a link
 * for each of them.
 */

import type { Json } from '../../model/json/json.ts'
import { shown } from '../../model/json/shown.ts'
import { didYouMean } from '../../model/nearest.ts'
import type { Plugin } from '../plugin.ts'

const plugins = {
  bandwidth: async () => (await import('./bandwidth-role.ts')).bandwidth,
  bridge: async () => (await import('./bridge-role.ts')).bridge,
  firewall: async () => (await import('./firewall-role.ts')).firewall,
  'host-local': async () => (await import('./host-local-role.ts')).hostLocal,
  loopback: async () => (await import('./loopback-role.ts')).loopback,
  portmap: async () => (await import('./portmap-role.ts')).portmap,
  tsnet: async () => (await import('./tsnet-role.ts')).tsnet,
  tuning: async () => (await import('./tuning-role.ts')).tuning,
} satisfies Record<string, () => Promise<Plugin>>

export type Role = keyof typeof plugins

export const roles = Object.keys(plugins) as Role[]

export const loadPlugin = (role: Role): Promise<Plugin> => plugins[role]()

export const isRole = (name: string): name is Role => Object.hasOwn(plugins, name)

/**
 * The role of the name that we were called by, else that of the configuration's `type`.
 * @throws TsnetError `unsupported-field`
 */
export function roleOf(calledAs: string, config: Json): Role {
  if (isRole(calledAs)) return calledAs
  const type = config.get('type')
  const name = type.text() ?? ''
  return isRole(name)
    ? name
    : type.refuse(
        `is no plugin of this executable, nor is ${shown(calledAs)}${didYouMean(name, roles)}`,
        'unsupported-field',
        `it plays: ${roles.join(', ')}`,
      )
}
